#include "pipeline/plain_lanes.hh"

namespace sluice::pipeline::plain {

Parsers avx2() {
    return {.ip4 = parse_ip4_lanes<4>, .ip6 = parse_ip6_lanes<4>};
}

}  // namespace sluice::pipeline::plain
