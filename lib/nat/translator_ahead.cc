// What begins and ends of mappings will read, asked for while others are still being dealt with: a million
// mappings lie in no cache.
#include <algorithm>
#include <array>

#include "nat/translator.hh"

namespace sluice::nat {

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
        const auto inside = Ip4Endpoint::source_of(leaving[i]);
        Ip4Endpoint scope;
        if (!overlaps && settings_.mapping != Dependence::endpoint_independent)
            scope = Ip4Endpoint::destination_of(leaving[i]);
        if (settings_.mapping == Dependence::address_dependent)
            scope.port = 0;
        const uint64_t hash = mappings_.hash_of(inside, scope, leaving[i].protocol);
        mappings_.prefetch_first(overlaps ? ~hash : hash);
        hashes[i] = hosts_.hash_of(inside.ip4());
        hosts_.prefetch(hashes[i]);
    }
    mappings_.prefetch_free(leaving.size());
    std::array<HostRef, kAhead> hosts;
    for (size_t i = 0; i < leaving.size(); ++i)
        hosts[i] = hosts_.prefetch_found(hashes[i]);
    for (size_t i = 0; i < leaving.size(); ++i) {
        answers[i] = leaving[i].turned_around();
        if (hosts[i] == kNoHost || !hosts_[hosts[i]].paired.is_ip4())
            continue;
        const auto inside = Ip4Endpoint::source_of(leaving[i]);
        const Ip4Address paired = hosts_[hosts[i]].paired.ip4();
        const Ip4Endpoint external{.address = paired.wire().wire(), .port = inside.port};
        answers[i].addresses = uint64_t{external.address} << 32 | static_cast<uint32_t>(answers[i].addresses);
        mappings_.prefetch_external(
            mappings_.hash_of_external(inside, external, leaving[i].protocol, overlaps));
        if (const auto space = spaces_.find(paired, leaving[i].protocol); space != kNoPortSpace)
            spaces_[space].prefetch(external.port);
    }
}

void Translator::prefetch_ends(std::span<const TranslatedFlow> flows) const {
    const bool overlaps = usually_overlaps();
    std::array<uint64_t, kAhead> hashes;
    for (size_t i = 0; i < flows.size(); ++i) {
        hashes[i] = mappings_.hash_of_external(Ip4Endpoint::source_of(flows[i].original),
                                               Ip4Endpoint::destination_of(flows[i].reply),
                                               flows[i].reply.protocol, overlaps);
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
