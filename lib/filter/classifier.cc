#include "filter/classifier.hh"

#include "filter/compiled_rule.hh"
#include "filter/match.hh"

namespace sluice::filter {

Wide Wide::of(const Ip6Address& address) {
    uint64_t high;
    uint64_t low;
    std::memcpy(&high, address.bytes().data(), sizeof high);
    std::memcpy(&low, address.bytes().data() + sizeof high, sizeof low);
    return {__builtin_bswap64(high), __builtin_bswap64(low)};
}

Point Point::of(const RulePacket& packet) {
    Point point;
    point.family = packet.ip.family();
    const auto set_words = [&](Dimension first, Dimension second, const Ip6Address& address) {
        const Wide wide = Wide::of(address);
        point.set(first, static_cast<uint32_t>(wide.high >> 32));
        auto* more = &point.at[static_cast<size_t>(second)];
        more[0] = static_cast<uint32_t>(wide.high);
        more[1] = static_cast<uint32_t>(wide.low >> 32);
        more[2] = static_cast<uint32_t>(wide.low);
    };
    if (point.family == Family::ip4) {
        point.set(Dimension::saddr, packet.ip.ip4().source().host());
        point.set(Dimension::daddr, packet.ip.ip4().destination().host());
    } else {
        set_words(Dimension::saddr, Dimension::saddr_1, packet.ip.ip6().source());
        set_words(Dimension::daddr, Dimension::daddr_1, packet.ip.ip6().destination());
    }
    const auto set_number = [&](Dimension dimension, Field field) {
        point.set(dimension, static_cast<uint32_t>(number_of(field, packet)));  // kMissing becomes kAbsent
    };
    set_number(Dimension::sport, Field::sport);
    set_number(Dimension::dport, Field::dport);
    point.set(Dimension::proto,
              packet.transport.known ? static_cast<uint32_t>(packet.transport.protocol) : kAbsent);
    point.set(Dimension::in, static_cast<uint32_t>(index(packet.in)));
    point.set(Dimension::out, static_cast<uint32_t>(index(packet.out)));
    point.set(Dimension::ct, static_cast<uint32_t>(packet.ct.state));
    return point;
}

size_t Classifier::memory_bytes() const {
    size_t sum = 0;
    for (const Forest& forest : forests_)
        sum += forest.nodes.capacity() * sizeof(Node) + forest.leaves.capacity() * sizeof(uint32_t) +
               forest.boxes.capacity() * sizeof(Box) + forest.open.capacity() * sizeof(uint32_t);
    return sum;
}

}  // namespace sluice::filter
