#include "filter/limit_key.hh"

#include "base/byte_order.hh"
#include "filter/match.hh"

namespace sluice::filter {
namespace {

void put(const IpAddress& address, uint64_t* words) {
    if (address.is_ip4()) {
        words[0] = address.ip4().host();
        return;
    }
    std::memcpy(words, address.ip6().bytes().data(), address.ip6().bytes().size());
}

}  // namespace

LimitKeyValue LimitKeyValue::of_source(const IpAddress& source) {
    LimitKeyValue key;
    put(source, key.words.data());
    key.kind = static_cast<uint64_t>(source.family());
    return key;
}

std::optional<LimitKeyValue> LimitKeyValue::of(LimitKey per, const RulePacket& packet) {
    LimitKeyValue key;
    const auto source = [&](size_t word) { put(packet.ip.source(), &key.words[word]); };
    const auto destination = [&](size_t word) { put(packet.ip.destination(), &key.words[word]); };
    const auto port = [&](size_t word) {
        const auto value = number_of(Field::dport, packet);
        key.words[word] = static_cast<uint64_t>(value);
        return value != kMissing;
    };
    key.kind = static_cast<uint64_t>(packet.ip.family());
    bool complete = true;
    switch (per) {
        case LimitKey::rule:
            key.kind = 1;
            break;
        case LimitKey::saddr:
            source(0);
            break;
        case LimitKey::daddr:
            destination(0);
            break;
        case LimitKey::saddr_daddr:
            source(0);
            destination(2);
            break;
        case LimitKey::dport:
            key.kind = 1;
            complete = port(0);
            break;
        case LimitKey::saddr_dport:
            source(0);
            complete = port(2);
            break;
        case LimitKey::daddr_dport:
            destination(0);
            complete = port(2);
            break;
    }
    if (!complete)
        return std::nullopt;
    return key;
}

uint64_t LimitKeyValue::hash(uint64_t seed) const {
    uint64_t result = seed ^ kind;
    for (const uint64_t word : words) {
        result = (result ^ word) * 0xd6e8feb86659fd93U;
        result ^= result >> 32;
    }
    return result * 0x9e3779b97f4a7c15U ^ result >> 29;
}

}  // namespace sluice::filter
