#include "pipeline/plain_lanes.hh"

namespace sluice::pipeline::plain {

Bits parse_avx2(const Device& device, const Frames& frames, const Found& found) {
    return parse_lanes<4>(device, frames, found);
}

}  // namespace sluice::pipeline::plain
