#include "wire/ethernet.hh"

#include <gtest/gtest.h>

#include "wire/arp.hh"
#include "wire/test_bytes.hh"

namespace sluice::wire {
namespace {

const Buffer kTagged = from_hex("020000000001 020000000002 88a8 a064 8100 1ffe 0800 45000014");
const MacAddress kFirst{{2, 0, 0, 0, 0, 1}};
const MacAddress kSecond{{2, 0, 0, 0, 0, 2}};

TEST(Ethernet, ReadsTagsWithinTags) {
    const auto frame = EthernetView::checked(kTagged).value();
    EXPECT_EQ(frame.destination(), kFirst);
    EXPECT_EQ(frame.source(), kSecond);
    EXPECT_EQ(frame.ether_type(), EtherType::service_vlan);
    ASSERT_TRUE(is_vlan(frame.ether_type()));
    const auto outer = VlanView::checked(frame.payload()).value();
    EXPECT_EQ(outer.id(), 100);
    EXPECT_EQ(outer.priority(), 5);
    EXPECT_FALSE(outer.drop_eligible());
    EXPECT_EQ(outer.ether_type(), EtherType::vlan);
    const auto inner = VlanView::checked(outer.payload()).value();
    EXPECT_EQ(inner.id(), 4094);
    EXPECT_EQ(inner.priority(), 0);
    EXPECT_TRUE(inner.drop_eligible());
    EXPECT_EQ(inner.ether_type(), EtherType::ipv4);
    EXPECT_EQ(inner.payload().size(), 4U);
}

TEST(Ethernet, RefusesShortFrames) {
    for (size_t size = 0; size < 14; ++size) {
        EXPECT_EQ(EthernetView::checked(Bytes(kTagged).first(size)).error(), EthernetError::too_short);
    }
    for (size_t size = 0; size < 4; ++size) {
        EXPECT_EQ(VlanView::checked(Bytes(kTagged).subspan(14, size)).error(), EthernetError::too_short);
    }
}

TEST(Ethernet, TellsLengthsFromTypes) {
    EXPECT_TRUE(is_length(EtherType{0x05ff}));
    EXPECT_FALSE(is_length(EtherType{0x0600}));
    EXPECT_FALSE(is_vlan(EtherType::ipv4));
}

TEST(Ethernet, RoundTrip) {
    const EthernetHeader header{kFirst, kSecond, EtherType::ipv6};
    EXPECT_EQ(EthernetHeader::parse(EthernetView::checked(emitted(header, 14)).value()), header);
    for (const uint16_t id : {uint16_t{0}, uint16_t{1}, uint16_t{4095}}) {
        for (const uint8_t priority : {uint8_t{0}, uint8_t{7}}) {
            const VlanTag tag{id, priority, priority == 7, EtherType::arp};
            EXPECT_EQ(VlanTag::parse(VlanView::checked(emitted(tag, 4)).value()), tag);
        }
    }
}

const Buffer kArp = from_hex("0001 0800 06 04 0002 020000000101 c0a80101 020000000202 c0a80102");
const ArpPacket kArpValue{ArpOperation::reply, MacAddress{{2, 0, 0, 0, 1, 1}},
                          Ip4Address::from_host(0xc0a80101), MacAddress{{2, 0, 0, 0, 2, 2}},
                          Ip4Address::from_host(0xc0a80102)};

TEST(Arp, ReadsAndWritesAKnownPacket) {
    EXPECT_EQ(ArpPacket::parse(ArpView::checked(kArp).value()), kArpValue);
    EXPECT_EQ(emitted(kArpValue, 28), kArp);
}

TEST(Arp, RefusesWhatIsNotIpv4OverEthernet) {
    for (size_t size = 0; size < 28; ++size) {
        EXPECT_EQ(ArpView::checked(Bytes(kArp).first(size)).error(), ArpError::too_short);
    }
    EXPECT_EQ(ArpView::checked(with(kArp, 1, 6)).error(), ArpError::bad_hardware);
    EXPECT_EQ(ArpView::checked(with(kArp, 4, 8)).error(), ArpError::bad_hardware);
    EXPECT_EQ(ArpView::checked(with(kArp, 2, 0x86)).error(), ArpError::bad_protocol);
    EXPECT_EQ(ArpView::checked(with(kArp, 5, 16)).error(), ArpError::bad_protocol);
    EXPECT_EQ(ArpView::checked(with(kArp, 7, 0)).error(), ArpError::bad_operation);
    EXPECT_EQ(ArpView::checked(with(kArp, 7, 3)).error(), ArpError::bad_operation);
    EXPECT_TRUE(ArpView::checked(with(kArp, 7, 1)));
}

}  // namespace
}  // namespace sluice::wire
