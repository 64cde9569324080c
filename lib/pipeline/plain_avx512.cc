#include "pipeline/plain_lanes.hh"

namespace sluice::pipeline::plain {

Bits parse_avx512(const Device& device, const Frames& frames, const Found& found) {
    return parse_lanes<8>(device, frames, found);
}

}  // namespace sluice::pipeline::plain
