// Takes a question about NAT from worker to worker. Control thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/interface_id.hh"
#include "base/time.hh"
#include "nat/nat_job.hh"

namespace sluice::nat {

// How the verbs reach what workers own. All of it is called on the control thread.
struct NatAccess {
    std::function<size_t()> workers;
    // Hands a job (after NatJob::send()) to a worker and keeps it alive until it is back.
    std::function<void(size_t worker, std::shared_ptr<NatJob> job)> hand_over;
    std::function<std::string(InterfaceId)> interface;
    std::function<Instant()> now;
};

// Asks one worker after the other; never waits itself. `access` outlives it.
template <typename Job>
class NatWalk {
  public:
    using Make = std::function<std::shared_ptr<Job>()>;

    NatWalk(const NatAccess& access, Make make)
        : access_(access), make_(std::move(make)), workers_(access.workers()) {}

    // A job that has come back with something to take, or nothing while a worker has it.
    [[nodiscard]] Job* poll() {
        if (job_ == nullptr && worker_ < workers_) {
            job_ = make_();
            send();
        }
        return job_ != nullptr && job_->is_back() ? job_.get() : nullptr;
    }
    // What the job found has been taken.
    void go_on() {
        if (!job_->done()) {
            send();
            return;
        }
        job_.reset();
        ++worker_;
    }
    [[nodiscard]] bool finished() const { return job_ == nullptr && worker_ >= workers_; }
    [[nodiscard]] size_t worker() const { return worker_; }

  private:
    void send() {
        job_->send();
        access_.hand_over(worker_, job_);
    }

    const NatAccess& access_;
    Make make_;
    size_t workers_;
    size_t worker_ = 0;
    std::shared_ptr<Job> job_;
};

// Gathers what all workers use.
class UseWalk {
  public:
    explicit UseWalk(const NatAccess& access) : walk_(access, [] { return std::make_shared<UseJob>(); }) {}

    // As far as it gets without waiting; true once use() is whole.
    bool advance() {
        while (UseJob* job = walk_.poll()) {
            if (job->done())
                use_.add(job->found());
            else
                use_.add_ports(job->found().ports);
            job->found().ports.clear();
            walk_.go_on();
        }
        return walk_.finished();
    }
    [[nodiscard]] const NatUse& use() const { return use_; }

  private:
    NatWalk<UseJob> walk_;
    NatUse use_;
};

}  // namespace sluice::nat
