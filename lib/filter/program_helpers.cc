#include "filter/program_helpers.hh"

#include <algorithm>
#include <array>

#include "bpf/packet.hh"
#include "filter/limit.hh"
#include "filter/packet.hh"
#include "sets/set.hh"
#include "wire/bytes.hh"

namespace sluice::filter {
namespace {

ProgramHost& host_of(uint64_t argument) {
    return *static_cast<ProgramHost*>(bpf::Run::of(argument).host);
}

IpAddress source_of(const ProgramHost& host) {
    return host.came ? host.came->source : host.ip->source();
}

bool contains(ProgramHost& host, uint64_t set, const sets::Fields& fields) {
    return host.program.sets[set]->contains(fields, host.now, host.ip->length());
}

uint64_t contains_source(uint64_t packet, uint64_t set, uint64_t, uint64_t, uint64_t) {
    auto& host = host_of(packet);
    if (host.lookups != nullptr && (host.lookups->by_source >> set & 1) != 0)
        return (host.lookups->sources[set] & host.place) != 0 ? 1 : 0;
    return contains(host, set, sets::Fields(source_of(host))) ? 1 : 0;
}

uint64_t contains_destination(uint64_t packet, uint64_t set, uint64_t, uint64_t, uint64_t) {
    auto& host = host_of(packet);
    if (host.lookups != nullptr && (host.lookups->by_destination >> set & 1) != 0)
        return (host.lookups->destinations[set] & host.place) != 0 ? 1 : 0;
    const IpAddress destination = host.came ? host.came->destination : host.ip->destination();
    return contains(host, set, sets::Fields(destination)) ? 1 : 0;
}

uint64_t contains_ip4(uint64_t packet, uint64_t set, uint64_t address, uint64_t, uint64_t) {
    const auto wanted = Ip4Address::from_host(static_cast<uint32_t>(address));
    return contains(host_of(packet), set, sets::Fields(wanted)) ? 1 : 0;
}

uint64_t contains_ip6(uint64_t packet, uint64_t set, uint64_t high, uint64_t low, uint64_t) {
    std::array<uint8_t, 16> bytes;
    wire::write32(bytes.data(), static_cast<uint32_t>(high >> 32));
    wire::write32(bytes.data() + 4, static_cast<uint32_t>(high));
    wire::write32(bytes.data() + 8, static_cast<uint32_t>(low >> 32));
    wire::write32(bytes.data() + 12, static_cast<uint32_t>(low));
    return contains(host_of(packet), set, sets::Fields(Ip6Address::load(bytes.data()))) ? 1 : 0;
}

uint64_t contains_port(uint64_t packet, uint64_t set, uint64_t port, uint64_t, uint64_t) {
    const auto wanted = Be16::from_host(static_cast<uint16_t>(port));
    return contains(host_of(packet), set, sets::Fields(wanted)) ? 1 : 0;
}

uint64_t count(uint64_t packet, uint64_t counter, uint64_t, uint64_t, uint64_t) {
    auto& host = host_of(packet);
    host.state.counters().count(host.program.counters[counter], host.ip->length(), host.now);
    return 0;
}

uint64_t take(ProgramHost& host, uint64_t limit, const LimitKeyValue& key) {
    auto& buckets = host.state.program_limit(host.index, limit);
    return buckets.take(key, host.now) != LimitAnswer::beyond ? 1 : 0;
}

uint64_t limit_source(uint64_t packet, uint64_t limit, uint64_t, uint64_t, uint64_t) {
    auto& host = host_of(packet);
    return take(host, limit, LimitKeyValue::of_source(source_of(host)));
}

uint64_t limit_key(uint64_t packet, uint64_t limit, uint64_t key, uint64_t, uint64_t) {
    // No address is of this kind.
    constexpr uint64_t kNumber = 1;
    return take(host_of(packet), limit, {.words = {key}, .kind = kNumber});
}

// Whether so many bytes there are within the frame.
bool is_within(const ProgramHost& host, uint64_t offset, uint64_t size) {
    const bool is_size = size == 1 || size == 2 || size == 4 || size == 8;
    return is_size && size <= host.frame.size() && offset <= host.frame.size() - size;
}

uint64_t load(uint64_t packet, uint64_t offset, uint64_t size, uint64_t, uint64_t) {
    const auto& host = host_of(packet);
    if (!is_within(host, offset, size))
        return 0;
    const uint8_t* const copy = bpf::Run::of(packet).packet.frame;
    uint64_t value = 0;
    for (uint64_t i = offset; i < offset + size; ++i)
        value = value << 8 | (i < host.window ? copy[i] : host.frame[i]);
    return value;
}

uint64_t store(uint64_t packet, uint64_t offset, uint64_t size, uint64_t value, uint64_t) {
    auto& host = host_of(packet);
    if (!is_within(host, offset, size))
        return 0;
    if (!host.came && offset + size > host.window)
        host.came = {.source = host.ip->source(), .destination = host.ip->destination()};
    uint8_t* const copy = bpf::Run::of(packet).packet.frame;
    for (uint64_t i = offset + size; i-- > offset; value >>= 8) {
        if (i < host.window)
            copy[i] = static_cast<uint8_t>(value);
        else if (i < host.changed.size())
            host.changed[i] = static_cast<uint8_t>(value);
    }
    return 1;
}

uint64_t redirect(uint64_t packet, uint64_t interface, uint64_t, uint64_t, uint64_t) {
    auto& host = host_of(packet);
    host.redirect = host.program.interfaces[interface];
    return static_cast<uint64_t>(bpf::Verdict::redirect);
}

}  // namespace

std::span<const bpf::Helper> program_helpers() {
    constexpr bpf::Parameter kNumber{};
    static const std::vector<bpf::Helper> helpers{
        {kContainsSource, bpf::entry<contains_source>, {{kAddressSet}}},
        {kContainsDestination, bpf::entry<contains_destination>, {{kAddressSet}}},
        {"sluice_set_contains_ip4", bpf::entry<contains_ip4>, {{kAddressSet}, kNumber}},
        {"sluice_set_contains_ip6", bpf::entry<contains_ip6>, {{kAddressSet}, kNumber, kNumber}},
        {"sluice_set_contains_port", bpf::entry<contains_port>, {{kPortSet}, kNumber}},
        {"sluice_count", bpf::entry<count>, {{kCounter}}},
        {"sluice_limit_source", bpf::entry<limit_source>, {{kLimit}}},
        {"sluice_limit_key", bpf::entry<limit_key>, {{kLimit}, kNumber}},
        {"sluice_load", bpf::entry<load>, {kNumber, kNumber}},
        {"sluice_store", bpf::entry<store>, {kNumber, kNumber, kNumber}, true},
        {"sluice_redirect", bpf::entry<redirect>, {{kInterface}}},
    };
    return helpers;
}

}  // namespace sluice::filter
