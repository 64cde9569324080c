#include "dpdk/rcu.hh"

#include <rte_malloc.h>

namespace sluice::dpdk {

void Rcu::Free::operator()(rte_rcu_qsbr* qsbr) const {
    rte_free(qsbr);
}

Expected<Rcu> Rcu::create(size_t workers) {
    const auto most = static_cast<uint32_t>(workers);
    auto* qsbr =
        static_cast<rte_rcu_qsbr*>(rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(most), RTE_CACHE_LINE_SIZE));
    if (qsbr == nullptr || rte_rcu_qsbr_init(qsbr, most) != 0) {
        rte_free(qsbr);
        return fail("no memory for the RCU state of the workers", "give the engine more memory");
    }
    return Rcu(qsbr);
}

void Rcu::join(WorkerId worker) const {
    rte_rcu_qsbr_thread_register(qsbr_.get(), id(worker));
    online(worker);
}

void Rcu::leave(WorkerId worker) const {
    offline(worker);
    rte_rcu_qsbr_thread_unregister(qsbr_.get(), id(worker));
}

}  // namespace sluice::dpdk
