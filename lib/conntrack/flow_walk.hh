// Takes a question about flows from worker to worker. Control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "conntrack/counters.hh"
#include "conntrack/flow_job.hh"
#include "conntrack/flow_json.hh"

namespace sluice::conntrack {

// How the verbs reach what workers own. All of it is called on the control thread.
struct FlowAccess {
    std::function<size_t()> workers;
    // Hands a job (after FlowJob::send()) to a worker and keeps it alive until it is back.
    std::function<void(size_t worker, std::shared_ptr<FlowJob> job)> hand_over;
    std::function<const Counters&(size_t worker)> counters;
    // Of the configuration in force; none while there is none to name.
    FlowNames names;
};

// Asks one worker after the other; never waits itself. `access` outlives it.
class FlowWalk {
  public:
    FlowWalk(const FlowAccess& access, FlowAction action, const FlowFilter& filter,
             FlowCondition condition = nullptr)
        : access_(access),
          action_(action),
          filter_(filter),
          condition_(std::move(condition)),
          workers_(access.workers()) {}

    // A job that has come back with something to take, or nothing while a worker has it.
    [[nodiscard]] FlowJob* poll() {
        if (job_ == nullptr && worker_ < workers_) {
            job_ = std::make_shared<FlowJob>(action_, filter_, condition_);
            send();
        }
        return job_ != nullptr && job_->is_back() ? job_.get() : nullptr;
    }
    // The job's records have been taken.
    void go_on() {
        job_->records().clear();
        if (!job_->done()) {
            send();
            return;
        }
        matched_ += job_->matched();
        job_.reset();
        ++worker_;
    }
    [[nodiscard]] bool finished() const { return job_ == nullptr && worker_ >= workers_; }
    [[nodiscard]] size_t worker() const { return worker_; }
    [[nodiscard]] uint64_t matched() const { return matched_; }  // by the workers that have been asked

  private:
    void send() {
        job_->send();
        access_.hand_over(worker_, job_);
    }

    const FlowAccess& access_;
    FlowAction action_;
    FlowFilter filter_;
    FlowCondition condition_;
    size_t workers_;
    size_t worker_ = 0;
    uint64_t matched_ = 0;
    std::shared_ptr<FlowJob> job_;
};

}  // namespace sluice::conntrack
