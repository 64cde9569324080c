#include "nat/identifications.hh"

#include <cstring>

#include "wire/checksum.hh"
#include "wire/ipv4.hh"

namespace sluice::nat {
namespace {

constexpr size_t kIdentification = 4;
constexpr size_t kChecksum = 10;
constexpr size_t kAddresses = 12;

}  // namespace

void Identifications::renew(wire::MutableBytes packet) {
    const auto view = wire::Ipv4View::unchecked(packet.data());
    if (view.dont_fragment() && !view.is_fragment())
        return;
    uint64_t addresses;
    std::memcpy(&addresses, packet.data() + kAddresses, sizeof addresses);
    const auto after = Be16::from_wire(next(addresses, view.protocol()));
    uint8_t* const identification = packet.data() + kIdentification;
    uint8_t* const checksum = packet.data() + kChecksum;
    wire::ChecksumDelta{}.add(Be16::load(identification), after).apply(Be16::load(checksum)).store(checksum);
    after.store(identification);
}

}  // namespace sluice::nat
