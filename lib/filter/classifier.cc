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

size_t Classifier::memory_bytes() const {
    size_t sum = 0;
    for (const Forest& forest : forests_)
        sum += forest.nodes.capacity() * sizeof(Node) + forest.leaves.capacity() * sizeof(uint32_t) +
               forest.boxes.capacity() * sizeof(Box) + forest.open.capacity() * sizeof(uint32_t);
    return sum;
}

}  // namespace sluice::filter
