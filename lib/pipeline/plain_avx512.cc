#include "pipeline/plain_lanes.hh"

namespace sluice::pipeline::plain {

Parsers avx512() {
    return {.ip4 = parse_ip4_lanes<8>, .ip6 = parse_ip6_lanes<8>};
}

}  // namespace sluice::pipeline::plain
