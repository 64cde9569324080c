// The short way of the source of a flow like most others: of TCP or UDP over IPv4, in words, behind a mapping
// that has its external endpoint for itself. It chooses what Translator::choose_source() would.
#pragma once

#include "nat/port_search.hh"
#include "nat/translator.hh"

namespace sluice::nat {

inline Translator::Terms Translator::terms_of(const NatRule& rule, wire::IpProtocol protocol) const {
    const auto mapping = rule.mapping.value_or(settings_.mapping);
    const bool may_overlap = rule.port_overlap.value_or(settings_.port_overlap) &&
                             mapping == Dependence::address_and_port_dependent;
    return {.mapping = mapping,
            .filtering = rule.filtering.value_or(settings_.filtering),
            .pooling = rule.pooling.value_or(settings_.pooling),
            .hairpin = rule.hairpin.value_or(settings_.hairpin),
            .parity = rule.parity.value_or(settings_.parity),
            // Without ports there is nothing else to tell hosts apart by than where they send to.
            .overlaps = may_overlap || !has_port(protocol),
            .random = rule.random,
            .persistent = rule.persistent,
            .ports_per_host = rule.ports_per_host.value_or(settings_.ports_per_host)};
}

template <typename IsUsable>
std::optional<uint16_t> Translator::pick_port(PortSpace& space, const PortRange& range, const Terms& terms,
                                              uint16_t own, bool has_parity, IsUsable&& is_usable) {
    // Ports tried that are free as far as mappings know and still belong to a flow, before the address counts
    // as exhausted.
    constexpr int kMostClashes = 128;
    if (!terms.random && range.contains(own) && space.is_free(own) && is_usable(own)) [[likely]]
        return own;
    Parity parity = Parity::any;
    if (terms.parity && has_parity)
        parity = own % 2 == 0 ? Parity::even : Parity::odd;
    auto from = static_cast<uint16_t>(range.first + random_.below(range.size()));  // R7857-9
    for (int attempt = 0; attempt < kMostClashes; ++attempt) {
        const auto port = space.next_free(range, from, parity);
        if (!port)
            break;
        if (is_usable(*port))
            return port;
        from = *port == range.last ? range.first : static_cast<uint16_t>(*port + 1);
    }
    space.count_refused();
    return std::nullopt;
}

namespace detail {

// A rule's addresses of IPv4; `own` is what masquerade gives.
class Ip4Pool {
  public:
    Ip4Pool(const NatRule& rule, Ip4Address own) : rule_(rule), own_(own) {}

    // From which ports those of an address come, where anything is said of them; null if it is not the
    // pool's.
    [[nodiscard]] const std::optional<PortRange>* ports_of(Ip4Address address) const {
        if (rule_.kind == NatKind::masquerade)
            return address == own_ ? &rule_.ports : nullptr;
        for (const auto& target : rule_.targets)
            if (target.first.is_ip4() && target.first.ip4().host() <= address.host() &&
                address.host() <= target.last.ip4().host())
                return &rule_.ports_of(target);
        return nullptr;
    }
    [[nodiscard]] bool contains(const Ip4Endpoint& external) const {
        const auto* const ports = ports_of(external.ip4());
        return ports != nullptr && (!*ports || (*ports)->contains(external.port));
    }
    // That of a host that is paired with none; nothing if there is none of IPv4.
    [[nodiscard]] std::optional<IpAddress> choose(Ip4Address host, Ip4Address remote) const {
        if (rule_.kind == NatKind::masquerade)
            return own_;
        return choose_address({rule_.targets, rule_.ports}, host, remote, true);
    }

  private:
    const NatRule& rule_;
    Ip4Address own_;
};

}  // namespace detail

template <typename IsFree>
std::optional<std::expected<Translator::PlainSource, NatRefusal>> Translator::choose_plainly(
    const NatRule& rule, const conntrack::Ip4PortsTuple& tuple, InterfaceId out, Ip4Address own,
    IsFree&& is_free, Instant now) {
    const Terms terms = terms_of(rule, tuple.protocol);
    const bool is_plain = rule.kind == NatKind::snat || rule.kind == NatKind::masquerade;
    if (!is_plain || terms.overlaps || settings_.hold_down_at_start) [[unlikely]]
        return std::nullopt;
    const auto inside = Ip4Endpoint::source_of(tuple);
    const auto remote = Ip4Endpoint::destination_of(tuple);
    Ip4Endpoint scope;
    if (terms.mapping != Dependence::endpoint_independent)
        scope = {.address = remote.address,
                 .port = terms.mapping == Dependence::address_dependent ? uint16_t{0} : remote.port};
    const detail::Ip4Pool pool(rule, own);

    const uint64_t inside_hash = mappings_.hash_of(inside, scope, tuple.protocol);
    const MappingRef oldest = mappings_.first(inside, scope, tuple.protocol, inside_hash);
    if (oldest != kNoMapping) {
        const auto external = mappings_.external_ip4(oldest);
        if (!pool.contains(external) || !is_free(external))
            return std::nullopt;
        mappings_.keep(oldest);
        return PlainSource{.external = external, .mapping = oldest};
    }

    HostRef host = hosts_.ref(inside.ip4(), hosts_.hash_of(inside.ip4()));
    if (reaches_limit(host, terms) || mappings_.size() == mappings_.capacity()) [[unlikely]]
        return std::nullopt;
    const std::optional<PortRange>* ports = nullptr;
    Ip4Address address;
    if (host != kNoHost && hosts_[host].paired.is_ip4()) {
        address = hosts_[host].paired.ip4();
        ports = pool.ports_of(address);
    }
    if (ports == nullptr) {
        const auto chosen = pool.choose(inside.ip4(), remote.ip4());
        if (!chosen)
            return std::nullopt;
        address = chosen->ip4();
        ports = pool.ports_of(address);
    }
    PortSpaceRef ref = spaces_.find(address, tuple.protocol);
    if (ref == kNoPortSpace) [[unlikely]]
        ref = spaces_.open(address, tuple.protocol);
    if (ref == kNoPortSpace || ports == nullptr) [[unlikely]]
        return std::nullopt;
    PortSpace& space = spaces_[ref];
    const PortRange range = ports->value_or(port_class(inside.port));
    space.offer(range, share_);
    const auto is_usable = [&](uint16_t port) {
        return is_free(Ip4Endpoint{.address = address.wire().wire(), .port = port});
    };
    // If this address has none, others are asked.
    if (terms.pooling == Pooling::soft &&
        (terms.random || !range.contains(inside.port) || !space.is_free(inside.port)))
        return std::nullopt;
    const auto port = pick_port(space, range, terms, inside.port, true, is_usable);
    if (!port) [[unlikely]]
        return std::unexpected(NatRefusal::exhausted);

    const Ip4Endpoint external{.address = address.wire().wire(), .port = *port};
    if (host != kNoHost)
        hosts_.add_mapping(host);
    else
        host = hosts_.add_first_mapping(inside.ip4(), address);
    if (host == kNoHost) [[unlikely]]
        return std::unexpected(NatRefusal::table_full);
    const MappingRef mapping = mappings_.create_first({.inside = inside,
                                                       .external = external,
                                                       .remote = scope,
                                                       .protocol = tuple.protocol,
                                                       .filtering = terms.filtering,
                                                       .hairpin = terms.hairpin,
                                                       .out = out,
                                                       .port_space = ref,
                                                       .host = host,
                                                       .began = now},
                                                      inside_hash);
    if (mapping == kNoMapping) [[unlikely]] {
        hosts_.end_mapping(host);
        return std::unexpected(NatRefusal::table_full);
    }
    ++made_;
    space.take(*port);
    return PlainSource{.external = external, .mapping = mapping};
}

}  // namespace sluice::nat
