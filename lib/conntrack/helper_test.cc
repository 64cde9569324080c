// FTP and TFTP dialogues: the connections they announce are related.
#include "conntrack/tracker_fixture.hh"

namespace sluice::conntrack {
namespace {

using wire::kTcpAck;
using wire::kTcpPsh;
using wire::kTcpSyn;

FtpScan scan(std::string_view text, Direction direction, FtpAnnouncement& found,
             Family family = Family::ip4) {
    const auto* data = reinterpret_cast<const uint8_t*>(text.data());
    return scan_ftp({data, text.size()}, family, direction, found);
}

TEST(FtpScan, ReadsTheFourAnnouncements) {
    FtpAnnouncement found;
    ASSERT_EQ(scan("port 10,0,0,1,4,1\r\n", Direction::original, found), FtpScan::found);
    EXPECT_EQ(found.command, FtpCommand::port);
    EXPECT_EQ(found.address, ip("10.0.0.1"));
    EXPECT_EQ(found.port, 1025);
    EXPECT_EQ(found.offset, 5U);
    EXPECT_EQ(found.length, 12U);
    ASSERT_EQ(scan("EPRT |1|132.235.1.2|6275|\r\n", Direction::original, found), FtpScan::found);
    EXPECT_EQ(found.address, ip("132.235.1.2"));
    EXPECT_EQ(found.port, 6275);
    ASSERT_EQ(scan("EPRT |2|2001:db8::1|5282|\r\n", Direction::original, found, Family::ip6), FtpScan::found);
    EXPECT_EQ(found.address, ip("2001:db8::1"));
    EXPECT_EQ(found.port, 5282);
    ASSERT_EQ(scan("227 Entering Passive Mode (192,0,2,2,195,80).\r\n", Direction::reply, found),
              FtpScan::found);
    EXPECT_EQ(found.address, ip("192.0.2.2"));
    EXPECT_EQ(found.port, 50000);
    ASSERT_EQ(scan("229 Entering Extended Passive Mode (|||6446|)\r\n", Direction::reply, found),
              FtpScan::found);
    EXPECT_FALSE(found.address.has_value());
    EXPECT_EQ(found.port, 6446);
}

TEST(FtpScan, TellsWhatIsCutOffFromWhatIsSomethingElse) {
    FtpAnnouncement found;
    for (const std::string_view text : {"P", "PORT", "PORT 10,0,0,1,4", "PORT 10,0,0,1,4,1", "PORT x\r\n",
                                        "EPRT |1|10.0.0.1|99", "EPRT |3|10.0.0.1|99|"})
        EXPECT_EQ(scan(text, Direction::original, found), FtpScan::partial) << text;
    for (const std::string_view text : {"227 ", "227 none here\r\n", "229 x", "229 (|||0|)", "229 (||7|"})
        EXPECT_EQ(scan(text, Direction::reply, found), FtpScan::partial) << text;
    for (const std::string_view text : {"", "USER me\r\n", "227 (1,2,3,4,5,6)\r\n", " PORT 1,2,3,4,5,6\r\n"})
        EXPECT_EQ(scan(text, Direction::original, found), FtpScan::nothing) << text;
    EXPECT_EQ(scan("PORT 1,2,3,4,5,6\r\n", Direction::reply, found), FtpScan::nothing);
}

class HelperTest : public TrackerTest {
  protected:
    HelperTest() {
        auto with = Settings::of(Profile::linux);
        with.helpers = {Helper::ftp, Helper::tftp};
        make(100, with);
    }
    // A control connection on which both sides have said a line.
    void log_in(const IpAddress& client, const IpAddress& server) {
        client_ = client;
        server_ = server;
        client_at_ = 100;
        server_at_ = 500;
        pass(tcp(client_, 3000, server_, 21, kTcpSyn, client_at_++, 0));
        pass(tcp(server_, 21, client_, 3000, kTcpSyn | kTcpAck, server_at_++, client_at_));
        pass(tcp(client_, 3000, server_, 21, kTcpAck, client_at_, server_at_));
        answer("220 ready\r\n");
        command("USER me\r\n");
    }
    Tracked command(std::string_view line) {
        const auto result =
            pass(tcp(client_, 3000, server_, 21, kTcpAck | kTcpPsh, client_at_, server_at_, line));
        client_at_ += static_cast<uint32_t>(line.size());
        return result;
    }
    Tracked answer(std::string_view line) {
        const auto result =
            pass(tcp(server_, 21, client_, 3000, kTcpAck | kTcpPsh, server_at_, client_at_, line));
        server_at_ += static_cast<uint32_t>(line.size());
        return result;
    }
    [[nodiscard]] size_t expected() const { return tracker->expectations().size(); }

    IpAddress client_;
    IpAddress server_;
    uint32_t client_at_ = 0;
    uint32_t server_at_ = 0;
};

TEST_F(HelperTest, AnActiveDataConnectionIsRelated) {
    log_in(a, b);
    const auto control = command("PORT 10,0,0,1,4,1\r\n");
    EXPECT_EQ(expected(), 1U);
    const auto data = pass(tcp(b, 20, a, 1025, kTcpSyn, 1, 0));
    EXPECT_EQ(data.state, CtState::related);
    EXPECT_TRUE(data.flow->status.has(kExpected));
    EXPECT_EQ(data.flow->master(), control.flow->id());
    EXPECT_EQ(pass(tcp(a, 1025, b, 20, kTcpSyn | kTcpAck, 9, 2)).state, CtState::established);
    EXPECT_EQ(expected(), 0U);
    // It was for one connection.
    EXPECT_EQ(pass(tcp(b, 22, a, 1025, kTcpSyn, 1, 0)).state, CtState::new_);
}

TEST_F(HelperTest, APassiveDataConnectionIsRelated) {
    log_in(a, b);
    answer("227 Entering Passive Mode (192,0,2,2,195,80)\r\n");
    EXPECT_EQ(pass(tcp(a, 3001, b, 50000, kTcpSyn, 1, 0)).state, CtState::related);
    answer("229 Extended (|||50001|)\r\n");
    EXPECT_EQ(pass(tcp(a, 3002, b, 50001, kTcpSyn, 1, 0)).state, CtState::related);
    EXPECT_EQ(pass(tcp(a, 3003, b, 50002, kTcpSyn, 1, 0)).state, CtState::new_);
}

TEST_F(HelperTest, OverIp6Too) {
    log_in(a6, b6);
    command("EPRT |2|2001:db8::1|5282|\r\n");
    EXPECT_EQ(pass(tcp(b6, 20, a6, 5282, kTcpSyn, 1, 0)).state, CtState::related);
    answer("229 Extended (|||50001|)\r\n");
    EXPECT_EQ(pass(tcp(a6, 3002, b6, 50001, kTcpSyn, 1, 0)).state, CtState::related);
}

TEST_F(HelperTest, NobodyOpensAWayToAnotherHost) {
    log_in(a, b);
    EXPECT_EQ(command("PORT 10,0,0,99,4,1\r\n").refusal, Refusal::none);
    answer("227 Entering Passive Mode (10,0,0,99,195,80)\r\n");
    EXPECT_EQ(expected(), 0U);
    EXPECT_EQ(pass(tcp(b, 20, ip("10.0.0.99"), 1025, kTcpSyn, 1, 0)).state, CtState::new_);
    // Another host cannot take what this server was promised.
    command("PORT 10,0,0,1,4,1\r\n");
    EXPECT_EQ(pass(tcp(ip("192.0.2.3"), 20, a, 1025, kTcpSyn, 1, 0)).state, CtState::new_);
}

TEST_F(HelperTest, OnlyTheBeginningOfALineIsACommand) {
    log_in(a, b);
    command("STOR x");
    command("PORT 10,0,0,1,4,1\r\n");  // within that line
    EXPECT_EQ(expected(), 0U);
    command("PORT 10,0,0,1,4,1\r\n");
    EXPECT_EQ(expected(), 1U);
}

TEST_F(HelperTest, ACommandThatIsCutOffIsDropped) {
    log_in(a, b);
    const auto half = command("PORT 10,0,0");
    EXPECT_EQ(half.refusal, Refusal::protocol);
    EXPECT_EQ(count(Count::expect_failed), 1U);
}

TEST_F(HelperTest, TheNewestAnnouncementCounts) {
    log_in(a, b);
    command("PORT 10,0,0,1,4,1\r\n");
    command("PORT 10,0,0,1,4,2\r\n");
    EXPECT_EQ(expected(), 1U);
    EXPECT_EQ(pass(tcp(b, 20, a, 1025, kTcpSyn, 1, 0)).state, CtState::new_);
    EXPECT_EQ(pass(tcp(b, 20, a, 1026, kTcpSyn, 1, 0)).state, CtState::related);
}

TEST_F(HelperTest, ExpectationsEndWithTimeAndWithTheirMaster) {
    log_in(a, b);
    command("PORT 10,0,0,1,4,1\r\n");
    advance(299s);
    EXPECT_EQ(expected(), 1U);
    advance(2s);
    EXPECT_EQ(expected(), 0U);
    const auto control = command("PORT 10,0,0,1,4,1\r\n");
    tracker->erase(*control.flow, now);
    EXPECT_EQ(expected(), 0U);
}

TEST_F(HelperTest, TftpGoesOnFromAnotherPort) {
    const std::string_view request("\0\1file\0octet\0", 13);
    pass(udp(a, 4000, b, 69, request));
    EXPECT_EQ(expected(), 1U);
    EXPECT_EQ(pass(udp(b, 7777, a, 4000)).state, CtState::related);
    EXPECT_EQ(pass(udp(a, 4000, b, 7777)).state, CtState::established);
    pass(udp(a, 4001, b, 69, std::string_view("\0\4xx", 4)));
    EXPECT_EQ(expected(), 0U);
}

// R7857-7: until it is answered its packets are related, as errors are, but these do not prolong it.
TEST_F(HelperTest, WhatARuleDropsProlongsNoExpectedFlow) {
    auto with = Settings::of(Profile::linux);
    with.helpers = {Helper::tftp};
    with.refresh_by_dropped = false;
    make(100, with);
    pass(udp(a, 4000, b, 69, std::string_view("\0\1file\0octet\0", 13)));
    ASSERT_EQ(pass(udp(b, 7777, a, 4000)).state, CtState::related);
    advance(20s);
    const auto dropped = pass(udp(b, 7777, a, 4000));
    ASSERT_EQ(dropped.state, CtState::related);
    tracker->take_back(dropped);
    advance(29s);
    EXPECT_EQ(flows(), 0U);
}

TEST_F(HelperTest, WhatATranslatedFlowAnnouncesIsLeftToNat) {
    const IpAddress external = ip("203.0.113.1");
    auto first = track(tcp(a, 3000, b, 21, kTcpSyn, 100, 0));
    first.flow->set_tuple(Direction::reply, Tuple(b, external, wire::IpProtocol::tcp, 21, 3000));
    first.flow->status.set(kSnat);
    ASSERT_TRUE(tracker->confirm(first, view(tcp(a, 3000, b, 21, kTcpSyn, 100, 0)), now));
    pass(tcp(b, 21, external, 3000, kTcpSyn | kTcpAck, 500, 101));
    pass(tcp(a, 3000, b, 21, kTcpAck | kTcpPsh, 101, 501, "USER me\r\n"));
    pass(tcp(a, 3000, b, 21, kTcpAck | kTcpPsh, 110, 501, "PORT 10,0,0,1,4,1\r\n"));
    ASSERT_TRUE(announced.has_value());
    EXPECT_EQ(expected(), 0U);
    EXPECT_EQ(announced->text.offset, 5U);
    EXPECT_EQ(announced->expectation.tuple, Tuple(b, external, wire::IpProtocol::tcp, 0, 1025));
    EXPECT_EQ(announced->expectation.translation->destination, a);
    EXPECT_EQ(announced->expectation.translation->destination_port, 1025);
    EXPECT_EQ(announced->expectation.translation->source, b);

    ASSERT_TRUE(tracker->expect(announced->expectation, now));
    ASSERT_NE(tracker->expectation_of(*first.flow), nullptr);
    const auto data = track(tcp(b, 20, external, 1025, kTcpSyn, 1, 0));
    ASSERT_NE(tracker->expected_translation(*data.flow), nullptr);
    EXPECT_EQ(tracker->expected_translation(*data.flow)->destination, a);
    EXPECT_EQ(tracker->expected_translation(*first.flow), nullptr);
    EXPECT_EQ(tracker->expectation_of(*first.flow), nullptr);
}

TEST_F(HelperTest, WindowsAreJudgedByWhatEachEndHasSent) {
    log_in(a, b);
    Flow& flow = *command("PORT 10,0,0,1,4,1\r\n").flow;
    const auto answers = [&](uint32_t growth) {
        return pass(tcp(b, 21, a, 3000, kTcpAck, server_at_, client_at_ + growth)).state;
    };
    EXPECT_EQ(answers(4), CtState::invalid) << "nothing of that was sent";
    auto* const offsets = tracker->sequences().open(flow.id());
    ASSERT_NE(offsets, nullptr);
    offsets->of(Direction::original).change(client_at_ - 19, 4);
    flow.status.set(kSeqAdjust);
    EXPECT_EQ(answers(4), CtState::established);
    EXPECT_EQ(answers(5), CtState::invalid);
    tracker->erase(flow, now);
    EXPECT_EQ(tracker->sequences().size(), 0U);
}

TEST(FlowSideTable, IsBoundedAndUsesPlacesAgain) {
    constexpr uint32_t kFlows = 1000;
    FlowSideTable<int> table;
    EXPECT_EQ(table.open(1), nullptr) << "no memory was taken yet";
    table.prepare(kFlows);
    for (uint32_t flow = 1; flow <= kFlows; ++flow)
        ASSERT_NE(table.open(flow), nullptr);
    EXPECT_EQ(table.open(kFlows + 1), nullptr);
    *table.find(7) = 3;
    EXPECT_EQ(table.open(7), table.find(7));
    EXPECT_EQ(*table.find(7), 3);
    table.remove(7);
    EXPECT_EQ(table.find(7), nullptr);
    EXPECT_EQ(table.size(), kFlows - 1);
    ASSERT_NE(table.open(kFlows + 1), nullptr);
    EXPECT_EQ(*table.find(kFlows + 1), 0);
}

TEST_F(HelperTest, WithoutItsHelperNothingIsExpected) {
    make(100, Settings::of(Profile::linux));
    log_in(a, b);
    command("PORT 10,0,0,1,4,1\r\n");
    EXPECT_EQ(expected(), 0U);
    EXPECT_EQ(pass(tcp(b, 20, a, 1025, kTcpSyn, 1, 0)).state, CtState::new_);
}

}  // namespace
}  // namespace sluice::conntrack
