// Frames wait for others of their round where the device they leave through wants many at once.
#include "pipeline/loop.hh"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dpdk/packet_pool.hh"
#include "pipeline/interfaces.hh"
#include "pipeline/test_eal.hh"
#include "pipeline/transmit.hh"

namespace sluice::pipeline {
namespace {

constexpr InterfaceId kDevice{0};

Interfaces one_device() {
    Interface made;
    made.id = kDevice;
    made.port = PortId{0};
    return Interfaces(std::vector{made});
}

// Sends the first packets of each burst back where they came from, and notes what had been sent before it.
class Reflector {
  public:
    Reflector(Worker& worker, const Interfaces& interfaces, const dpdk::Device& device)
        : worker_(worker), interfaces_(interfaces), device_(device) {}

    void process(PortId port, Burst& burst, uint64_t) {
        if (sent_before.empty())
            work_for(first_takes);
        sent_before.push_back(worker_.counters.sent.read());
        const size_t kept = std::min<size_t>(burst.count, of_each_burst);
        for (size_t i = 0; i < burst.count; ++i) {
            if (i < kept)
                transmit(worker_, port, kDevice, burst.packets[i]);
            else
                rte_pktmbuf_free(burst.packets[i]);
        }
        send_waiting();
    }
    void send_waiting() { flush(worker_, interfaces_, {&device_, 1}); }

    size_t of_each_burst = kMaxBurst;
    std::chrono::milliseconds first_takes{0};
    std::vector<uint64_t> sent_before;

  private:
    static void work_for(std::chrono::milliseconds time) {
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end) {
        }
    }

    Worker& worker_;
    const Interfaces& interfaces_;
    const dpdk::Device& device_;
};

// A device that always has more to give, and takes everything.
class LoopTest : public WithEal {
  protected:
    void open(uint16_t tx_batch, uint16_t budget) {
        const auto folder =
            std::filesystem::temp_directory_path() / ("sluice_loop_test" + std::to_string(getpid()));
        std::filesystem::create_directories(folder);
        std::ofstream(folder / "batch.yaml")
            << "{description: of a test, driver: [net_null], tx_batch: " << tx_batch << "}\n";
        setenv("SLUICE_DRIVERS_CONFIG", folder.c_str(), 1);
        auto opened = dpdk::Device::open(
            {.name = "null", .device = "net_null0,size=64", .profile = "batch", .mac = std::nullopt}, pool_);
        unsetenv("SLUICE_DRIVERS_CONFIG");
        std::filesystem::remove_all(folder);
        ASSERT_TRUE(opened) << opened.error().message;
        device_ = std::make_unique<dpdk::Device>(std::move(*opened));
        run_ = std::make_unique<WorkerRun>(WorkerRun{.worker = worker_,
                                                     .rcu = rcu_,
                                                     .sleeper = sleeper_,
                                                     .control_bell = bell_,
                                                     .from_control = from_control_,
                                                     .queues = {{PortId{0}, device_.get(), 0}},
                                                     .budget = budget,
                                                     .stop = stop_,
                                                     .receiving = receiving_});
        path_ = std::make_unique<Reflector>(worker_, interfaces_, *device_);
        timer_ = std::make_unique<detail::BurstTimer>(worker_);
    }
    void round() { ASSERT_TRUE(detail::poll_queues(*run_, *path_, *burst_, *timer_)); }
    [[nodiscard]] uint64_t sent() const { return worker_.counters.sent.read(); }
    [[nodiscard]] uint64_t timed() const { return worker_.latency.read().total(); }

    dpdk::PacketPool pool_ = std::move(*dpdk::PacketPool::create("loop_test", 4096, 2048));
    dpdk::PacketRing to_control_ = std::move(*dpdk::PacketRing::create("loop_test_to", 8));
    dpdk::PacketRing from_control_ = std::move(*dpdk::PacketRing::create("loop_test_from", 8));
    dpdk::Rcu rcu_ = std::move(*dpdk::Rcu::create(2));
    dpdk::Sleeper sleeper_ = std::move(*dpdk::Sleeper::create());
    dpdk::Bell bell_ = std::move(*dpdk::Bell::create());
    std::atomic<bool> stop_{false};
    std::atomic<size_t> receiving_{1};
    Interfaces interfaces_ = one_device();
    Worker worker_{WorkerId{0}, 1, 1, pool_, to_control_, 1};
    std::unique_ptr<dpdk::Device> device_;
    std::unique_ptr<WorkerRun> run_;
    std::unique_ptr<Reflector> path_;
    std::unique_ptr<detail::BurstTimer> timer_;
    std::unique_ptr<Burst> burst_ = std::make_unique<Burst>();
};

TEST_F(LoopTest, EachBurstLeavesAtOnce) {
    open(1, 64);
    round();
    EXPECT_EQ(path_->sent_before, (std::vector<uint64_t>{0}));
    EXPECT_EQ(sent(), 64U);
    EXPECT_EQ(timed(), 64U);
}

TEST_F(LoopTest, BurstsOfARoundLeaveTogether) {
    open(256, 64);
    round();
    EXPECT_EQ(path_->sent_before, (std::vector<uint64_t>{0, 0, 0, 0}));
    EXPECT_EQ(sent(), 256U);
    EXPECT_EQ(timed(), 256U);
}

TEST_F(LoopTest, WhatLeavesTogetherHasTheTimeOfTheOldest) {
    open(256, 64);
    path_->first_takes = std::chrono::milliseconds(3);
    round();
    constexpr unsigned kTwoMilliseconds = 21;  // as a power of two of nanoseconds
    EXPECT_EQ(worker_.latency.read().below(kTwoMilliseconds), 0U);
    for (int tries = 0; tries < 1000 && worker_.latency.read().below(kTwoMilliseconds) == 0; ++tries)
        round();  // more than one if the machine is busy
    EXPECT_GT(worker_.latency.read().below(kTwoMilliseconds), 0U) << "further batches have their own";
}

TEST_F(LoopTest, AFullBatchLeaves) {
    open(100, 64);
    round();
    EXPECT_EQ(path_->sent_before, (std::vector<uint64_t>{0, 0})) << "nothing waits after the second turn";
    EXPECT_EQ(sent(), 128U);
}

TEST_F(LoopTest, NothingWaitsForLongerThanARound) {
    open(256, 64);
    path_->of_each_burst = 3;
    round();
    EXPECT_EQ(path_->sent_before.size(), 4U);
    EXPECT_EQ(sent(), 12U);
    EXPECT_EQ(timed(), 12U);
    EXPECT_FALSE(worker_.frames_wait);
    EXPECT_FALSE(worker_.more_comes) << "or what others send would wait";
}

TEST_F(LoopTest, BurstsOfATurnLeaveTogetherToo) {
    open(256, 512);
    round();
    EXPECT_EQ(path_->sent_before, (std::vector<uint64_t>{0, 0, 0, 0, 256, 256, 256, 256}));
    EXPECT_EQ(sent(), 512U);
}

// One of two workers: gives what it receives to the other one, and frees what it is given.
class Sharer {
  public:
    Sharer(Worker& worker, HandOver& hand_over, WorkerId other)
        : worker_(worker), hand_over_(hand_over), other_(other) {}

    void begin_round() { ++rounds; }
    bool serve() { return false; }
    void errands(std::span<dpdk::Packet*>) {}
    bool tick() { return true; }
    void send_waiting() { worker_.frames_wait = false; }
    // As if some of its frames waited for more.
    void process(PortId, Burst& burst, uint64_t) {
        for (size_t i = 0; i < burst.count; ++i)
            hand_over_.give(worker_, burst.packets[i],
                            {.in = InterfaceId{0},
                             .l3 = 14,
                             .l3_length = 50,
                             .path = Path::ip4_slow,
                             .link_multicast = false},
                            other_);
        hand_over_.flush(worker_);
        worker_.frames_wait = worker_.more_comes;
    }
    void take_over(Burst& burst) {
        for (size_t i = 0; i < burst.count; ++i)
            rte_pktmbuf_free(burst.packets[i]);
        while (is_held)
            std::this_thread::yield();
    }

    int rounds = 0;
    std::atomic<bool> is_held{false};  // in the first burst that it takes over

  private:
    Worker& worker_;
    HandOver& hand_over_;
    WorkerId other_;
};

// A worker that receives for another one.
class TwoWorkersTest : public LoopTest {
  protected:
    static constexpr WorkerId kReceiver{0};
    static constexpr WorkerId kOther{1};

    void SetUp() override {
        open(256, 64);
        run_->hand_over = &from_;
    }

    HandOverRings rings_{2};
    HandOver from_{rings_, kReceiver};
    HandOver to_{rings_, kOther};
    Worker other_worker_{kOther, 1, 1, pool_, to_control_, 2};
    dpdk::Sleeper other_sleeper_ = std::move(*dpdk::Sleeper::create());
    dpdk::PacketRing other_errands_ = std::move(*dpdk::PacketRing::create("loop_test_other", 8));
    WorkerRun other_run_{.worker = other_worker_,
                         .rcu = rcu_,
                         .sleeper = other_sleeper_,
                         .control_bell = bell_,
                         .from_control = other_errands_,
                         .hand_over = &to_,
                         .queues = {},
                         .poll = dpdk::Poll::busy,
                         .stop = stop_,
                         .receiving = receiving_};
    Sharer giver_{worker_, from_, kOther};
    Sharer taker_{other_worker_, to_, kReceiver};
    detail::BurstTimer other_timer_{other_worker_};
    std::unique_ptr<Burst> other_burst_ = std::make_unique<Burst>();
};

TEST_F(TwoWorkersTest, AllTurnsOfARoundAreTakenOver) {
    for (int round = 0; round < 40; ++round) {
        ASSERT_TRUE(detail::poll_queues(*run_, giver_, *burst_, *timer_));
        detail::take_over(other_run_, taker_, *other_burst_, other_timer_);
    }
    EXPECT_EQ(other_worker_.loop.taken_over.read(), 40U * 4 * 64);
    EXPECT_EQ(worker_.counters.totals().dropped, 0U);
}

TEST_F(TwoWorkersTest, WhatWasHandedOverIsTakenBeforeTheEnd) {
    run_->poll = dpdk::Poll::busy;
    receiving_ = 2;
    taker_.is_held = true;
    std::thread receiver([this] { run_worker(*run_, giver_); });
    std::thread other([this] { run_worker(other_run_, taker_); });
    // More than is taken in one round, the first burst of which is held.
    while (worker_.loop.handed_over.read() < kMaxBurst + HandOverRings::capacity(2))
        std::this_thread::yield();
    stop_ = true;
    taker_.is_held = false;
    receiver.join();
    other.join();
    EXPECT_EQ(other_worker_.loop.taken_over.read(), worker_.loop.handed_over.read());
}

TEST_F(TwoWorkersTest, AWorkerThatIsStoppedBeforeItsFirstRoundKnowsWhatIsInForce) {
    run_->poll = dpdk::Poll::busy;
    ASSERT_TRUE(detail::poll_queues(*run_, giver_, *burst_, *timer_));
    receiving_ = 1;
    stop_ = true;
    run_worker(other_run_, taker_);
    EXPECT_EQ(other_worker_.loop.taken_over.read(), 4U * 64);
    EXPECT_EQ(taker_.rounds, 1);
}

}  // namespace
}  // namespace sluice::pipeline
