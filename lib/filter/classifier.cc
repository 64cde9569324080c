#include "filter/classifier.hh"

#include <algorithm>

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
    const auto set = [&](Dimension dimension, uint64_t value) {
        point.at[static_cast<size_t>(dimension)] = value;
    };
    const auto set_number = [&](Dimension dimension, Field field) {
        set(dimension, static_cast<uint64_t>(number_of(field, packet)));  // kMissing becomes kAbsent
    };
    if (point.family == Family::ip4) {
        set(Dimension::saddr_high, packet.ip.ip4().source().host());
        set(Dimension::daddr_high, packet.ip.ip4().destination().host());
    } else {
        const Wide source = Wide::of(packet.ip.ip6().source());
        const Wide destination = Wide::of(packet.ip.ip6().destination());
        set(Dimension::saddr_high, source.high);
        set(Dimension::saddr_low, source.low);
        set(Dimension::daddr_high, destination.high);
        set(Dimension::daddr_low, destination.low);
    }
    set_number(Dimension::sport, Field::sport);
    set_number(Dimension::dport, Field::dport);
    set_number(Dimension::proto, Field::proto);
    set_number(Dimension::in, Field::in);
    set_number(Dimension::out, Field::out);
    return point;
}

uint32_t Classifier::Candidates::next() {
    if (count_ == 0)
        return kEnd;
    size_t least = 0;
    for (size_t run = 1; run < count_; ++run) {
        if (*runs_[run].at < *runs_[least].at)
            least = run;
    }
    const uint32_t place = *runs_[least].at;
    if (++runs_[least].at == runs_[least].end)
        runs_[least] = runs_[--count_];
    return place;
}

Classifier::Candidates Classifier::candidates(const Point& point) const {
    Candidates result;
    for (const uint32_t root : roots_[point.family == Family::ip4 ? 0 : 1]) {
        const Node* node = &nodes_[root];
        while (node->dimension != Node::kLeaf)
            node = &nodes_[point.at[node->dimension] <= node->split ? node->left : node->right];
        if (node->left != node->right)
            result.runs_[result.count_++] = {places_.data() + node->left, places_.data() + node->right};
    }
    return result;
}

size_t Classifier::memory_bytes() const {
    return nodes_.capacity() * sizeof(Node) + places_.capacity() * sizeof(uint32_t);
}

}  // namespace sluice::filter
