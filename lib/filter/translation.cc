// NAT at the hooks: rules and mappings are asked about the first packet of a flow, its tuples say from then
// on what becomes of every packet. What nf_nat_inet_fn does.
#include <array>
#include <optional>
#include <span>
#include <utility>

#include "filter/drops.hh"
#include "filter/masquerade.hh"
#include "filter/stage.hh"
#include "nat/drops.hh"
#include "nat/port_search.hh"
#include "nat/rewrite.hh"
#include "nat/rewrite_error.hh"
#include "pipeline/drops.hh"
#include "routing/icmp_output.hh"
#include "wire/tcp.hh"

namespace sluice::filter {
namespace {

using conntrack::CtState;
using conntrack::Direction;
using nat::Manip;
using nat::NatRefusal;
using pipeline::Verdict;
using routing::Context;
using routing::Passage;

Manip manip_at(Hook hook) {
    return hook == Hook::prerouting || hook == Hook::output ? Manip::destination : Manip::source;
}

wire::IpPacket packet_of(const Passage& passage) {
    const uint8_t* data = passage.packet.data();
    return data[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(data))
                             : wire::IpPacket::of(wire::Ipv6View::unchecked(data));
}

bool is_icmp(const wire::IpPacket& packet) {
    return packet.protocol() == wire::IpProtocol::icmp || packet.protocol() == wire::IpProtocol::icmpv6;
}

bool is_syn(const wire::IpPacket& packet) {
    if (packet.protocol() != wire::IpProtocol::tcp)
        return false;
    const auto flags = wire::TcpView::unchecked(packet.upper()).flags();  // tracked: it is whole
    return flags.has(wire::kTcpSyn) && !flags.has(wire::kTcpAck);
}

telemetry::DropReason reason_of(NatRefusal refusal) {
    switch (refusal) {
        case NatRefusal::filtered:
            return nat::drops::nat_filtered;
        case NatRefusal::no_address:
            return nat::drops::nat_no_address;
        case NatRefusal::host_limit:
            return nat::drops::nat_host_limit;
        case NatRefusal::table_full:
        case NatRefusal::space_limit:
            return nat::drops::nat_table_full;
        case NatRefusal::held_down:
            return nat::drops::nat_held_down;
        case NatRefusal::exhausted:
        case NatRefusal::no_mapping:
            break;
    }
    return nat::drops::nat_exhausted;
}

// Which flows there are, as choosing an endpoint asks. `homes`: where other workers may have a flow like
// that; they do not share ports of source NAT.
struct LivingFlows {
    const conntrack::FlowTable& table;
    conntrack::Ticks now;
    const steering::FlowHomes* homes = nullptr;

    [[nodiscard]] bool is_taken_elsewhere(const conntrack::Tuple& leaving) const {
        const auto answer = homes == nullptr ? std::nullopt : conntrack::inverted(leaving);
        return answer && homes->is_taken(*answer);
    }
    [[nodiscard]] conntrack::Found find_answer(const conntrack::Tuple& leaving) const {
        if (leaving.family() == Family::ip4 && !leaving.is_icmp()) [[likely]]
            return table.find(
                conntrack::Ip4PortsTuple{.addresses = uint64_t{leaving.source().ip4().wire().wire()} << 32 |
                                                      leaving.destination().ip4().wire().wire(),
                                         .ports = uint32_t{leaving.sport} << 16 | leaving.dport,
                                         .protocol = leaving.protocol()});
        const auto answer = conntrack::inverted(leaving);
        return answer ? table.find(*answer) : conntrack::Found{};
    }
    [[nodiscard]] nat::UsedProbe probe() const {
        return {[](const void* context, const conntrack::Tuple& leaving) {
                    const auto& self = *static_cast<const LivingFlows*>(context);
                    const auto found = self.find_answer(leaving);
                    return (found && !found.flow->is_expired(self.now)) || self.is_taken_elsewhere(leaving);
                },
                this};
    }
};

// As the flow's packets of the original direction leave.
conntrack::Tuple leaving_of(const conntrack::Flow& flow) {
    return *conntrack::inverted(flow.tuple(Direction::reply));
}

void give(conntrack::Flow& flow, Manip manip, const nat::Endpoint& to) {
    const bool is_plain =
        manip == Manip::source && flow.family() == Family::ip4 &&
        (flow.protocol() == wire::IpProtocol::udp || flow.protocol() == wire::IpProtocol::tcp);
    if (is_plain) [[likely]] {
        auto& answer = flow.half(Direction::reply);
        const uint32_t address = to.address.ip4().wire().wire();
        if (answer.addresses[1] == address && answer.ports[1] == to.port)
            return;
        answer.addresses[1] = address;
        answer.ports[1] = to.port;
        flow.status.set(conntrack::kSnat);
        return;
    }
    const auto before = leaving_of(flow);
    const auto after = nat::with_endpoint(before, manip, to);
    if (after == before)
        return;
    flow.set_tuple(Direction::reply, *conntrack::inverted(after));
    flow.status.set(manip == Manip::source ? conntrack::kSnat : conntrack::kDnat);
}

InterfaceId owner_of(const Context& context, const IpAddress& address) {
    for (const auto& interface : context.tables.interfaces.all()) {
        for (const auto& own : interface.addresses) {
            if (own.address == address)
                return interface.id;
        }
    }
    return kNoInterface;
}

std::optional<IpAddress> first_address(const Context& context, InterfaceId interface, Family family) {
    for (const auto& own : context.tables.interfaces[interface].addresses) {
        if (own.address.family() == family)
            return own.address;
    }
    return std::nullopt;
}

// The address by which the box would speak to where the packet goes.
std::optional<IpAddress> masquerade_address(const Context& context, const Passage& passage,
                                            const conntrack::Tuple& leaving) {
    const IpAddress to = leaving.destination();
    if (to.is_ip6()) {
        const auto source = context.tables.source_for(passage.out, to.ip6());
        return source.is_unspecified() ? std::nullopt : std::optional<IpAddress>(source);
    }
    const auto& fib = *context.tables.fib;
    const auto& hop =
        passage.next_hop != nullptr
            ? *passage.next_hop
            : fib.next_hop(fib.route({.in = passage.in, .saddr = leaving.source(), .daddr = to}));
    const auto source = masquerade_ip4(context, passage.out, hop, to.ip4());
    return source.is_unspecified() ? std::nullopt : std::optional<IpAddress>(source);
}

// Who wants to know where a packet to an inside host would leave.
struct Caller {
    const routing::Fib& fib;
    InterfaceId interface;
    IpAddress address;

    [[nodiscard]] nat::WayProbe probe() const {
        return {[](const void* caller, const IpAddress& host, InterfaceId way) {
                    const auto& [routes, in, source] = *static_cast<const Caller*>(caller);
                    const routing::RouteKey key{.in = in, .saddr = source, .daddr = host};
                    return routes.next_hop(routes.route(key)).out == way;
                },
                this};
    }
};

// Packets whose address has no counterpart go nowhere (RFC 6296 3.4, 3.7).
std::expected<std::optional<nat::Endpoint>, NatRefusal> in_other_prefix(
    const nat::PrefixTranslation& translation, const conntrack::Tuple& tuple, Manip manip) {
    const auto end = endpoint_of(tuple, manip);
    const auto address = translation.translate(end.address.ip6());
    if (!address)
        return std::unexpected(NatRefusal::no_address);
    return nat::Endpoint{*address, end.port};
}

template <typename T>
std::span<const T> span_of(const std::optional<T>& one) {
    return one ? std::span<const T>(&*one, 1) : std::span<const T>();
}

}  // namespace

Verdict Firewall::translate(Context& context, Passage& passage, Hook hook) {
    if (translator_ == nullptr || passage.tracked.flow == nullptr)
        return Verdict::next();
    const auto manip = manip_at(hook);
    auto& flow = *passage.tracked.flow;
    const auto packet = packet_of(passage);
    const bool is_error = passage.tracked.state == CtState::related && is_icmp(packet);
    const bool begins = !flow.is_confirmed() && !is_error && passage.about == nullptr &&
                        passage.tracked.direction == Direction::original;
    const auto done = manip == Manip::source ? conntrack::kSnatDone : conntrack::kDnatDone;
    if (begins && !flow.status.has(done)) {
        if (const auto verdict = choose(context, passage, hook, manip); verdict != Verdict::next())
            return verdict;
        flow.status.set(done);
    }
    return exchange(passage, packet, is_error, manip);
}

Verdict Firewall::exchange(const Passage& passage, const wire::IpPacket& packet, bool is_error, Manip manip) {
    const auto translation = nat::FlowTranslation::of(*passage.tracked.flow, passage.tracked.direction);
    const bool good = is_error ? rewrite_error(packet, passage.packet, tables_->settings, translation, manip)
                               : !translation.changes(manip) ||
                                     rewrite(packet, passage.packet, manip, translation.target(manip));
    if (good && manip == Manip::source && translation.changes(manip) && packet.family() == Family::ip4)
        translator_->renew_identification(passage.packet);
    return good ? Verdict::next() : Verdict::drop(nat::drops::nat_rewrite);
}

Verdict Firewall::choose(Context& context, Passage& passage, Hook hook, Manip manip) {
    auto& flow = *passage.tracked.flow;
    if (const auto* expected = tracker_.expected_translation(flow)) {
        const auto chosen = choose_expected(context, passage, *expected, manip);
        if (!chosen)
            return refuse(context, passage, chosen.error());
        give(flow, manip, **chosen);
        return Verdict::next();
    }
    const NatStatement* statement = nullptr;
    if (const auto verdict = ask(context, passage, Table::nat, hook, &statement); verdict != Verdict::next())
        return verdict;
    return choose_by(context, passage, statement, manip);
}

Verdict Firewall::choose_by(Context& context, Passage& passage, const NatStatement* statement, Manip manip) {
    const auto chosen = manip == Manip::destination ? choose_destination(context, passage, statement)
                                                    : choose_source(context, passage, statement);
    if (!chosen && chosen.error() == NatRefusal::filtered && is_syn(packet_of(passage)))
        hold_syn(context, passage);
    if (!chosen)
        return refuse(context, passage, chosen.error());
    if (*chosen)
        give(*passage.tracked.flow, manip, **chosen);
    return Verdict::next();
}

// As the flow that announced it; no rule is asked.
Firewall::Choice Firewall::choose_expected(const Context& context, const Passage& passage,
                                           const conntrack::ExpectedTranslation& expected, Manip manip) {
    auto& flow = *passage.tracked.flow;
    const Instant now = context.worker.now;
    if (manip == Manip::destination) {
        const nat::Endpoint inside{expected.destination, expected.destination_port};
        const auto original = flow.tuple(Direction::original);
        if (endpoint_of(original, manip) != inside &&
            translator_->map_expected(original, inside, passage.in, now))
            flow.status.set(conntrack::kMappedDestination);
        return inside;
    }
    const LivingFlows living{tracker_.table(), conntrack::ticks_at(now), homes_};
    const auto tuple = leaving_of(flow);
    const nat::Leaving leaving{.tuple = tuple, .out = passage.out, .out_addresses = {}};
    if (tuple.source() == expected.source)
        return translator_->keep_source(leaving, living.probe());
    const auto chosen = translator_->choose_expected_source(expected.source, leaving, living.probe(), now);
    if (chosen)
        flow.status.set(conntrack::kMappedSource);
    return chosen;
}

Firewall::Choice Firewall::choose_destination(const Context& context, const Passage& passage,
                                              const NatStatement* statement) {
    auto& flow = *passage.tracked.flow;
    const auto original = flow.tuple(Direction::original);
    if (statement != nullptr && statement->rule.prefix)
        return in_other_prefix(*statement->rule.prefix, original, Manip::destination);
    if (statement != nullptr) {
        const LivingFlows living{tracker_.table(), conntrack::ticks_at(context.worker.now), homes_};
        const InterfaceId own = passage.in == kNoInterface ? passage.out : passage.in;
        const auto address = first_address(context, own, original.family());
        const auto chosen =
            translator_->choose_destination(statement->rule, original, span_of(address), living.probe());
        if (!chosen)
            return std::unexpected(chosen.error());
        if (passage.in != kNoInterface && statement->rule.hairpin.value_or(false)) {
            const auto owner = owner_of(context, original.destination());
            const bool is_around = owner != kNoInterface && owner != passage.in;
            hairpin_ = {.wanted = statement->is_hairpin || is_around,
                        .outside = owner == kNoInterface ? statement->outside : owner};
        }
        return *chosen;
    }
    if (passage.in == kNoInterface)
        return std::nullopt;
    const Caller caller{*context.tables.fib, passage.in, original.source()};
    const auto found = translator_->inbound(original, passage.in, caller.probe());
    if (found) {
        flow.status.set(conntrack::kMappedDestination);
        hairpin_ = {.wanted = found->is_around, .outside = found->out};
        return found->inside;
    }
    if (found.error() == NatRefusal::filtered)
        return std::unexpected(found.error());
    return keep_identifier(context, original);
}

// As Linux: an ICMP query whose answers would be taken for those of another flow gets another identifier when
// it comes in already. That is its destination translated: errors about it say so.
std::optional<nat::Endpoint> Firewall::keep_identifier(const Context& context,
                                                       const conntrack::Tuple& query) {
    if (query.protocol() != wire::IpProtocol::icmp && query.protocol() != wire::IpProtocol::icmpv6)
        return std::nullopt;
    const LivingFlows living{tracker_.table(), conntrack::ticks_at(context.worker.now), homes_};
    const auto kept =
        translator_->keep_source({.tuple = query, .out = kNoInterface, .out_addresses = {}}, living.probe());
    if (!kept || *kept == nat::endpoint_of(query, Manip::source))
        return std::nullopt;
    return nat::Endpoint{query.destination(), kept->port};
}

Firewall::Choice Firewall::choose_source(const Context& context, const Passage& passage,
                                         const NatStatement* statement) {
    auto& flow = *passage.tracked.flow;
    const Instant now = context.worker.now;
    const auto tuple = leaving_of(flow);
    const bool is_ones_own = !flow.status.has_any(conntrack::kDnat) && nat::has_port(tuple.protocol());
    const LivingFlows living{tracker_.table(), conntrack::ticks_at(now), is_ones_own ? nullptr : homes_};
    nat::Leaving leaving{.tuple = tuple, .out = passage.out, .out_addresses = {}};
    if (tuple.is_icmp())
        leaving.identifier = flow.tuple(Direction::original).icmp_id();
    const bool around = passage.in != kNoInterface && passage.out != kNoInterface && hairpin_.wanted;
    if (statement != nullptr && statement->rule.prefix)
        return in_other_prefix(*statement->rule.prefix, tuple, Manip::source);
    if (statement == nullptr && !around)
        return translator_->keep_source(leaving, living.probe());
    std::expected<nat::Endpoint, NatRefusal> chosen;
    if (statement != nullptr) {
        std::optional<IpAddress> address;
        if (statement->rule.kind == nat::NatKind::masquerade)
            address = masquerade_address(context, passage, tuple);
        leaving.out_addresses = span_of(address);
        chosen = translator_->choose_source(statement->rule, leaving, living.probe(), now);
    } else {
        leaving.out = hairpin_.outside;
        chosen = translator_->choose_hairpin_source(flow.tuple(Direction::original).destination(), leaving,
                                                    living.probe(), now);
    }
    if (chosen) {
        flow.status.set(conntrack::kMappedSource);
        if (statement != nullptr && statement->rule.kind == nat::NatKind::masquerade)
            flow.status.set(nat::kMasqueraded);
    }
    return chosen;
}

// What a filter keeps out is told nothing (R4787-8); who finds no port is (R6888-11).
Verdict Firewall::refuse(Context& context, const Passage& passage, NatRefusal refusal) {
    if (tables_->nat_tells && refusal != NatRefusal::filtered)
        reject(context, passage, RejectKind::host_unreachable);
    return Verdict::drop(reason_of(refusal));
}

// To a port of the box on the side where mappings have theirs, and no rule sent it there.
bool Firewall::is_unsolicited_syn(const Context& context, const Passage& passage) const {
    const auto& tracked = passage.tracked;
    if (translator_ == nullptr || tables_->nat.syn_hold == Duration::zero() || tracked.flow == nullptr ||
        tracked.flow->is_confirmed() || passage.in == kNoInterface)
        return false;
    const auto packet = packet_of(passage);
    return is_syn(packet) && !tracked.flow->status.has_any(conntrack::kDnat) &&
           translator_->is_external(packet.destination()) &&
           owner_of(context, packet.destination()) == passage.in;
}

void Firewall::hold_syn(const Context& context, const Passage& passage) {
    if (tables_->nat.syn_hold != Duration::zero())
        held_syns_.hold(passage.tracked.flow->tuple(Direction::original), passage.in, passage.packet,
                        context.worker.now + tables_->nat.syn_hold);
}

void Firewall::answer_held_syns(Context& context) {
    while (const auto* syn = held_syns_.take_due(context.worker.now)) {
        const routing::Offence how{.in = syn->in};
        const uint8_t* header = syn->bytes().data();
        if (syn->tuple.family() == Family::ip4)
            send_error(context, routing::Icmp4Error{.kind = routing::Icmp4ErrorKind::port_unreachable},
                       wire::Ipv4View::unchecked(header), how);
        else
            send_error(context, routing::Icmp6Error{.kind = routing::Icmp6ErrorKind::port_unreachable},
                       wire::Ipv6View::unchecked(header), how);
    }
}

// The flow is found by what its answers look like.
void Firewall::turn_back(Context& context, Passage& passage) {
    const auto packet = packet_of(passage);
    const auto leaving = conntrack::tuple_of(packet);
    const auto answer = leaving ? conntrack::inverted(*leaving) : std::nullopt;
    const auto found = answer ? tracker_.table().find(*answer) : conntrack::Found{};
    if (!found || found.flow->is_expired(conntrack::ticks_at(context.worker.now)))
        return;
    const auto direction = opposite(found.direction);
    const auto& flow = *found.flow;
    if (nat::FlowTranslation::of(flow, direction).changes(Manip::source) &&
        !rewrite(packet, passage.packet, Manip::source, endpoint_of(flow.tuple(direction), Manip::source)))
        return;
    passage.tracked = {.flow = found.flow, .state = CtState::established, .direction = direction};
}

namespace {

nat::MappedEnds mapped_ends(const conntrack::Flow& flow) {
    return {.source = flow.status.has(conntrack::kMappedSource),
            .destination = flow.status.has(conntrack::kMappedDestination)};
}

// Of IPv4.
nat::Translator::TranslatedFlow translated(const conntrack::Flow& flow) {
    return {.original = flow.half(Direction::original).tuple(flow.protocol()),
            .reply = flow.half(Direction::reply).tuple(flow.protocol())};
}

}  // namespace

// Of a flow that has just been confirmed: who else has to know is told.
Verdict Firewall::flow_began(Passage& passage, Instant now) {
    auto& flow = *passage.tracked.flow;
    if (translator_ != nullptr &&
        flow.status.has_any(conntrack::kMappedSource | conntrack::kMappedDestination))
        translator_->flow_began(flow.tuple(Direction::original), flow.tuple(Direction::reply),
                                mapped_ends(flow));
    return tell_of(passage, now);
}

Verdict Firewall::tell_of(Passage& passage, Instant now) {
    auto& flow = *passage.tracked.flow;
    if (!held_syns_.empty() && flow.protocol() == wire::IpProtocol::tcp)
        held_syns_.forget(flow.tuple(Direction::reply));
    if (homes_ == nullptr || homes_->began(flow))
        return Verdict::next();
    tracker_.erase(flow, now);
    passage.tracked.flow = nullptr;
    return Verdict::drop(pipeline::drops::steer_directory_full);
}

void Firewall::flow_ended(void* firewall, const conntrack::Flow& flow, Instant now) {
    const auto& self = *static_cast<Firewall*>(firewall);
    if (self.homes_ != nullptr && flow.status.has(steering::kPublished))
        self.homes_->ended(flow);
    auto* const translator = self.translator_;
    if (translator == nullptr)
        return;
    const auto ends = mapped_ends(flow);
    const bool is_plain = ends.source && !ends.destination && flow.family() == Family::ip4;
    if (!is_plain || !translator->flow_ended(translated(flow), now)) [[unlikely]]
        translator->flow_ended(flow.tuple(Direction::original), flow.tuple(Direction::reply), ends, now);
}

void Firewall::flows_end_soon(const void* firewall, std::span<const conntrack::Flow* const> flows) {
    const auto* const translator = static_cast<const Firewall*>(firewall)->translator_;
    if (translator == nullptr)
        return;
    std::array<nat::Translator::TranslatedFlow, nat::Translator::kAhead> all;
    static_assert(conntrack::FlowTable::kBurst <= nat::Translator::kAhead);
    size_t count = 0;
    for (const auto* const flow : flows)
        if (flow->status.has(conntrack::kMappedSource) && flow->family() == Family::ip4)
            all[count++] = translated(*flow);
    translator->prefetch_ends(std::span(std::as_const(all)).first(count));
}

}  // namespace sluice::filter
