// Publication of what all workers read. The control thread replaces an immutable object; a worker says
// between two bursts that it holds none; when all have said so, the old object is freed.
#pragma once

#include <rte_rcu_qsbr.h>

#include <cstdint>
#include <memory>

#include "base/error.hh"
#include "base/interface_id.hh"

namespace sluice::dpdk {

class Rcu {
  public:
    static Expected<Rcu> create(size_t workers);

    // Worker side. A worker is offline while it sleeps, and holds nothing then.
    void online(WorkerId worker) const { rte_rcu_qsbr_thread_online(qsbr_.get(), id(worker)); }
    void offline(WorkerId worker) const { rte_rcu_qsbr_thread_offline(qsbr_.get(), id(worker)); }
    void quiescent(WorkerId worker) const { rte_rcu_qsbr_quiescent(qsbr_.get(), id(worker)); }
    void join(WorkerId worker) const;   // before the first burst; begins online
    void leave(WorkerId worker) const;  // after the last

    // Control side. A token names this moment; passed() tells whether every worker has been quiescent since.
    [[nodiscard]] uint64_t begin_grace() const { return rte_rcu_qsbr_start(qsbr_.get()); }
    [[nodiscard]] bool passed(uint64_t token) const {
        return rte_rcu_qsbr_check(qsbr_.get(), token, false) == 1;
    }

  private:
    struct Free {
        void operator()(rte_rcu_qsbr* qsbr) const;
    };
    static unsigned id(WorkerId worker) { return static_cast<unsigned>(worker); }
    explicit Rcu(rte_rcu_qsbr* qsbr) : qsbr_(qsbr) {}
    std::unique_ptr<rte_rcu_qsbr, Free> qsbr_;
};

}  // namespace sluice::dpdk
