// What begins and ends of mappings will read, asked for while others are still being dealt with: a million
// mappings lie in no cache.
#include <algorithm>
#include <array>

#include "nat/translator.hh"

namespace sluice::nat {
namespace {

Ip4Address source_of(const conntrack::Ip4PortsTuple& tuple) {
    return Ip4Address::from_wire(Be32::from_wire(static_cast<uint32_t>(tuple.addresses)));
}

Ip4Address destination_of(const conntrack::Ip4PortsTuple& tuple) {
    return Ip4Address::from_wire(Be32::from_wire(static_cast<uint32_t>(tuple.addresses >> 32)));
}

Endpoint from(const conntrack::Ip4PortsTuple& tuple) {
    return {source_of(tuple), static_cast<uint16_t>(tuple.ports)};
}

Endpoint to(const conntrack::Ip4PortsTuple& tuple) {
    return {destination_of(tuple), tuple.dport()};
}

}  // namespace

bool Translator::usually_overlaps() const {
    return settings_.port_overlap && settings_.mapping == Dependence::address_and_port_dependent;
}

// As if the settings' words were the rule's, a host's paired address one of the rule's, and a port that can
// be kept free.
void Translator::prefetch_beginnings(std::span<const conntrack::Ip4PortsTuple> leaving,
                                     std::span<conntrack::Ip4PortsTuple> answers) const {
    const bool overlaps = usually_overlaps();
    std::array<uint64_t, kAhead> hashes;
    for (size_t i = 0; i < leaving.size(); ++i) {
        const Endpoint inside = from(leaving[i]);
        Endpoint remote{Ip4Address{}, 0};
        if (!overlaps && settings_.mapping != Dependence::endpoint_independent)
            remote = {to(leaving[i]).address,
                      settings_.mapping == Dependence::address_dependent ? uint16_t{0} : to(leaving[i]).port};
        mappings_.prefetch_first(mappings_.hash_of_first(inside, remote, leaving[i].protocol, overlaps));
        hashes[i] = hosts_.hash_of(inside.address);
        hosts_.prefetch(hashes[i]);
    }
    mappings_.prefetch_free(leaving.size());
    std::array<HostRef, kAhead> hosts;
    for (size_t i = 0; i < leaving.size(); ++i)
        hosts[i] = hosts_.prefetch_found(hashes[i]);
    for (size_t i = 0; i < leaving.size(); ++i) {
        const Endpoint inside = from(leaving[i]);
        answers[i] = leaving[i].turned_around();
        if (hosts[i] == kNoHost || !hosts_[hosts[i]].paired.is_ip4())
            continue;
        const Endpoint external{hosts_[hosts[i]].paired, inside.port};
        answers[i].addresses = uint64_t{external.address.ip4().wire().wire()} << 32 |
                               static_cast<uint32_t>(answers[i].addresses);
        mappings_.prefetch_external(overlaps ? mappings_.hash_of_shared(inside, external, leaving[i].protocol)
                                             : mappings_.hash_of_external(external, leaving[i].protocol));
        if (const auto space = spaces_.find(external.address, leaving[i].protocol); space != kNoPortSpace)
            spaces_[space].prefetch(external.port);
    }
}

void Translator::prefetch_ends(std::span<const TranslatedFlow> flows) const {
    const bool overlaps = usually_overlaps();
    std::array<uint64_t, kAhead> hashes;
    for (size_t i = 0; i < flows.size(); ++i) {
        const Endpoint inside = from(flows[i].original);
        const Endpoint external = to(flows[i].reply);
        hashes[i] = overlaps ? mappings_.hash_of_shared(inside, external, flows[i].reply.protocol)
                             : mappings_.hash_of_external(external, flows[i].reply.protocol);
        mappings_.prefetch_external(hashes[i]);
    }
    std::array<MappingRef, kAhead> refs;
    for (size_t i = 0; i < flows.size(); ++i)
        refs[i] = mappings_.prefetch_found(hashes[i]);
    for (size_t i = 0; i < flows.size(); ++i) {
        if (refs[i] == kNoMapping)
            continue;
        const auto held = mappings_.prefetch_rest(refs[i]);
        hosts_.prefetch_host(held.host);
        if (held.port_space != kNoPortSpace)
            spaces_[held.port_space].prefetch(held.port);
    }
}

}  // namespace sluice::nat
