// The packet path of a gateway between `lan` and `wan` for tests of NAT, in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/document.hh"
#include "nat/described_packet.hh"
#include "nat/manip.hh"
#include "sluice/any_nat_config.hh"
#include "sluice/nat_invariants.hh"
#include "sluice/replay_dataplane.hh"
#include "wire/ethernet.hh"

namespace sluice::test {

// DPDK starts once in a process.
class DpdkEnvironment final : public testing::Environment {
  public:
    void SetUp() override {
        auto started = ReplayDataplane::start_eal();
        ASSERT_TRUE(started) << started.error().text();
        eal_ = std::move(*started);
    }
    void TearDown() override { eal_.reset(); }

  private:
    std::unique_ptr<dpdk::Eal> eal_;
};
[[maybe_unused]] inline const auto* const kDpdkEnvironment =
    testing::AddGlobalTestEnvironment(new DpdkEnvironment);

inline bool is_inside(const IpAddress& address) {
    static const auto ip4 = *IpPrefix::parse("192.168.0.0/16");
    static const auto ip6 = *IpPrefix::parse("fd00:1::/64");
    return ip4.contains(address) || ip6.contains(address);
}

// TCP's connections all have the same numbers: the next byte from inside is 101, that from outside 501.
inline constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

// A packet of that tuple.
inline nat::DescribedPacket packet_of(const conntrack::Tuple& tuple, uint8_t flags = 0) {
    return {.source = endpoint_of(tuple, nat::Manip::source),
            .destination = endpoint_of(tuple, nat::Manip::destination),
            .protocol = tuple.protocol(),
            .payload = {},
            .icmp_type = tuple.icmp_type(),
            .tcp_flags = flags};
}

class NatPath : public testing::Test {
  protected:
    void begin(const std::string& text) {
        const auto& config = read(text);
        auto created = ReplayDataplane::create(config, false);
        ASSERT_TRUE(created) << created.error().text();
        dataplane_ = std::move(*created);
        const auto begun = dataplane_->begin(now_);
        ASSERT_TRUE(begun) << begun.error().text();
        for (const auto& interface : dataplane_->interfaces())
            (interface.name == "lan" ? lan_ : wan_) = interface.id;
    }
    void reload(const std::string& text) {
        const auto done = dataplane_->reload(read(text));
        EXPECT_TRUE(done) << (done ? "" : done.error().text());
    }
    [[nodiscard]] const std::string& in_force() const { return in_force_; }

    void let_pass(Duration time) {
        now_ += time;
        settled_ = false;
    }
    // The round between two bursts.
    void settle() {
        std::vector<replay::TimerOutcome> caused;
        EXPECT_TRUE(dataplane_->advance(now_, caused));
        settled_ = true;
    }
    [[nodiscard]] Instant now() const { return now_; }

    replay::Outcome send(const nat::DescribedPacket& what, InterfaceId in) {
        settled_ = false;
        const auto packet = nat::build(what);
        const auto mac = MacAddress::parse(in == lan_ ? kLanMac : kWanMac);
        nat::Buffer frame(wire::kEthernetHeaderSize);
        mac->store(frame.data());
        frame[6] = 2;  // the sender's
        wire::write16(frame.data() + 12, what.source.address.is_ip4() ? 0x0800 : 0x86dd);
        frame.insert(frame.end(), packet.begin(), packet.end());
        now_ += std::chrono::microseconds(1);
        auto outcome = dataplane_->inject(in, frame, now_);
        if (outcome.verdict == replay::FinalVerdict::accept &&
            (outcome.ct_state == "new" || outcome.ct_state == "established"))
            check_translation(packet, outcome);
        return outcome;
    }
    replay::Outcome send(const nat::DescribedPacket& what) {
        return send(what, is_inside(what.source.address) ? lan_ : wan_);
    }
    [[nodiscard]] InterfaceId wan() const { return wan_; }

    filter::Firewall& firewall() { return dataplane_->worker_firewall(); }
    void check() { NatInvariants(firewall()).check(settled_); }

  private:
    const GatewayConfig& read(const std::string& text) {
        in_force_ = text;
        auto read = config::read_text<GatewayConfig>("sluice.yaml", text);
        EXPECT_TRUE(read) << (read ? "" : read.error().text()) << text;
        return configs_.emplace_back(read ? std::move(*read) : GatewayConfig());
    }

    // What left is what the flow says; packets of no flow are not translated.
    void check_translation(const nat::Buffer& packet, const replay::Outcome& outcome) {
        const auto came = conntrack::tuple_of(nat::view_of(packet));
        const auto found = came ? firewall().tracker().table().find(*came) : conntrack::Found{};
        if (!found || outcome.outputs.empty())
            return;
        const nat::Buffer sent(outcome.outputs.back().frame.begin() + wire::kEthernetHeaderSize,
                               outcome.outputs.back().frame.end());
        const auto left = conntrack::tuple_of(nat::view_of(sent));
        EXPECT_EQ(left, conntrack::inverted(found.flow->tuple(opposite(found.direction))));
    }

    std::list<GatewayConfig> configs_;  // all of them: a packet path refers to its own
    std::string in_force_;
    std::unique_ptr<ReplayDataplane> dataplane_;
    InterfaceId lan_{};
    InterfaceId wan_{};
    Instant now_{std::chrono::hours(1)};
    bool settled_ = false;
};

}  // namespace sluice::test
