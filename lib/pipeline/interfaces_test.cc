#include "pipeline/interfaces.hh"

#include <gtest/gtest.h>

namespace sluice::pipeline {
namespace {

std::vector<Interface> lan_and_guests() {
    std::vector<Interface> all(2);
    all[0].name = "lan";
    all[1].id = InterfaceId{1};
    all[1].vlan = 20;
    all[1].name = "guests";
    return all;
}

TEST(Interfaces, are_found_by_port_vlan_and_name) {
    const Interfaces interfaces(lan_and_guests());
    EXPECT_EQ(interfaces.all().size(), 2U);
    EXPECT_EQ(interfaces.of_port(PortId{0}), InterfaceId{0});
    EXPECT_EQ(interfaces.of_vlan(PortId{0}, 20), InterfaceId{1});
    EXPECT_EQ(interfaces.of_vlan(PortId{0}, 21), kNoInterface);
    ASSERT_NE(interfaces.find("guests"), nullptr);
    EXPECT_EQ(interfaces.find("guests")->vlan, 20);
    EXPECT_EQ(interfaces.find(""), nullptr);
}

// A packet may name an interface that a later configuration brings, or that an earlier one had.
TEST(Interfaces, of_other_snapshots_may_be_asked_for) {
    const Interfaces interfaces(lan_and_guests());
    EXPECT_TRUE(interfaces.has(InterfaceId{1}));
    for (const size_t id : {size_t{2}, kMaxInterfaces - 1}) {
        EXPECT_FALSE(interfaces.has(static_cast<InterfaceId>(id)));
        const auto& gone = interfaces[static_cast<InterfaceId>(id)];
        EXPECT_TRUE(gone.name.empty() && gone.addresses.empty());
        EXPECT_EQ(gone.port, PortId{0});
    }
}

}  // namespace
}  // namespace sluice::pipeline
