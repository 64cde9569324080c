#include "filter/burst_flows.hh"

#include "dpdk/packet.hh"

namespace sluice::filter {
namespace {

using pipeline::for_each_place;
using pipeline::Path;
using pipeline::place_bit;

// Of packets that the parser has not found plain: tagged ones, and those of other workers.
void complete_keys(pipeline::Burst& burst, uint64_t places) {
    for_each_place(places, [&](size_t i) {
        const auto& meta = burst.meta[i];
        uint8_t* const header = dpdk::data(burst.packets[i]) + meta.l3;
        burst.keys.frames[i] = header - pipeline::kEthernetHeader;
        conntrack::Ip4PortsTuple tuple;
        conntrack::Tuple tuple6;
        if (meta.path == Path::ip4_fast && read_tuple(header, meta.l3_length, tuple)) {
            burst.keys.addresses[i] = tuple.addresses;
            burst.keys.rest[i] = tuple.rest();
            burst.keys.ip4.all |= place_bit(i);
        } else if (meta.path == Path::ip6_fast && read_tuple(header, meta.l3_length, tuple6)) {
            burst.keys.rest[i] = tuple6.rest();
            burst.keys.ip6.all |= place_bit(i);
        }
    });
}

}  // namespace

void find_flows(const conntrack::FlowTable& table, pipeline::Burst& burst, BurstFlows& flows) {
    const uint64_t without = pipeline::first_places(burst.count) & ~(burst.keys.ip4.all | burst.keys.ip6.all);
    if (without != 0) [[unlikely]]
        complete_keys(burst, without);
    flows.ip4 = burst.keys.ip4.all;
    flows.ip6 = burst.keys.ip6.all;
    // IPv4 first: it leaves hashes at the places of IPv6 too.
    flows.new4 =
        table.guess_burst(keys_of(burst), flows.ip4, flows.guesses.values.data(), flows.hashes.values.data());
    if (flows.ip6 != 0)
        table.guess_burst(ip6_keys_of(burst), flows.ip6, flows.guesses.values.data(),
                          flows.hashes.values.data());
}

}  // namespace sluice::filter
