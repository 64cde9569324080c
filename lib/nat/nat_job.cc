#include "nat/nat_job.hh"

#include <algorithm>

namespace sluice::nat {

bool NatJob::run(const Translator* translator, size_t budget) {
    const Slice slice = translator == nullptr ? Slice{.done = true} : look(*translator, budget);
    done_ = slice.done;
    const bool gives_back = slice.done || slice.full;
    if (gives_back)
        back_.store(true, std::memory_order_release);
    return gives_back;
}

bool MappingFilter::matches(const Mapping& mapping) const {
    const auto is_meant = [this](const Endpoint& end) {
        return (!address || address->contains(end.address)) && (!port || *port == end.port);
    };
    return (!protocol || *protocol == mapping.protocol) &&
           (is_meant(mapping.inside) || is_meant(mapping.external));
}

NatJob::Slice MappingsJob::look(const Translator& translator, size_t budget) {
    translator.mappings().visit(cursor_, std::min(budget, kBatch - mappings_.size()),
                                [this](const Mapping& mapping) {
                                    if (filter_.matches(mapping))
                                        mappings_.push_back(mapping);
                                });
    return {.done = cursor_.done, .full = mappings_.size() == kBatch};
}

NatJob::Slice UseJob::look(const Translator& translator, size_t budget) {
    if (!spaces_done_) {
        spaces_done_ = translator.port_spaces().visit(
            space_, std::min(budget, kBatch - use_.ports.size()),
            [this](const IpAddress& address, wire::IpProtocol protocol, const PortSpace& space) {
                use_.ports.push_back(PortUse::of(address, protocol, space));
            });
        return {.full = use_.ports.size() == kBatch};
    }
    translator.hosts().visit(hosts_, budget, [this](const InsideHost& host) { use_.add_host(host); });
    if (!hosts_.done)
        return {};
    use_.mappings = translator.mappings().size();
    use_.max = translator.mappings().capacity();
    use_.made = translator.mappings_made();
    use_.ended = translator.mappings_ended();
    return {.done = true};
}

NatJob::Slice WhoJob::look(const Translator& translator, size_t budget) {
    translator.who(question_.external, question_.protocol, question_.at, cursor_,
                   std::min(budget, kBatch - records_.size()),
                   [this](const WhoRecord& record) { records_.push_back(record); });
    return {.done = cursor_.done, .full = records_.size() == kBatch};
}

}  // namespace sluice::nat
