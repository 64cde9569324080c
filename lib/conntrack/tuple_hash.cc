#include "conntrack/tuple_hash.hh"

#include <cstring>

#include "conntrack/tuple_hash_lanes.hh"

namespace sluice::conntrack {
namespace {

uint32_t half(const uint8_t* from) {
    uint32_t result;
    std::memcpy(&result, from, sizeof result);
    return result;
}

void hash_in_lanes(const TupleHash& hash, const uint64_t* addresses, const uint64_t* rest, size_t count,
                   uint64_t* hashes) {
    hash_eights(hash.key.data(), addresses, rest, count, hashes);
}

bool has_lanes() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("vaes");
}

}  // namespace

uint64_t TupleHash::operator()(const Tuple& tuple) const {
    const uint64_t rest = tuple.rest();
    const auto& source = tuple.source_bytes();
    const auto& destination = tuple.destination_bytes();
    if (tuple.family() == Family::ip4) [[likely]]
        return of_ip4(uint64_t{half(destination.data())} << 32 | half(source.data()), rest);
    return of_ip6(tuple.addresses(), rest);
}

void hash_singly(const TupleHash& hash, const uint64_t* addresses, const uint64_t* rest, size_t count,
                 uint64_t* hashes) {
    for (size_t i = 0; i < count; ++i)
        hashes[i] = hash.of_ip4(addresses[i], rest[i]);
}

HashIp4Tuples choose_hash() {
    return has_lanes() ? hash_in_lanes : hash_singly;
}

}  // namespace sluice::conntrack
