#include "nat/identifications.hh"

#include "wire/checksum.hh"
#include "wire/ipv4.hh"

namespace sluice::nat {
namespace {

constexpr size_t kIdentification = 4;
constexpr size_t kChecksum = 10;

}  // namespace

void Identifications::renew(wire::MutableBytes packet) {
    const auto view = wire::Ipv4View::unchecked(packet.data());
    if (view.dont_fragment() && !view.is_fragment())
        return;
    const uint64_t ends = uint64_t{view.source().host()} << 32 | view.destination().host();
    const uint64_t mixed = (ends ^ key_ ^ static_cast<uint8_t>(view.protocol())) * 0x9e3779b97f4a7c15U;
    uint16_t& counter = counters_[mixed >> 53];
    static_assert(kCounters == 1U << (64 - 53));
    const auto after = Be16::from_host(static_cast<uint16_t>(++counter * share_.workers + share_.worker));
    uint8_t* const identification = packet.data() + kIdentification;
    uint8_t* const checksum = packet.data() + kChecksum;
    wire::ChecksumDelta{}.add(Be16::load(identification), after).apply(Be16::load(checksum)).store(checksum);
    after.store(identification);
}

}  // namespace sluice::nat
