#include "pipeline/egress.hh"

namespace sluice::pipeline {

void Egress::note(InterfaceId out, std::span<const uint16_t> lengths) {
    if (count_ == 0) {
        out_ = out;
        return;
    }
    if (!is_mixed()) {
        for (size_t i = 0; i < count_; ++i)
            frames_[i] = {length(i), out_};
        out_ = kNoInterface;
    }
    for (size_t i = 0; i < lengths.size(); ++i)
        frames_[count_ + i] = {lengths[i], out};
}

}  // namespace sluice::pipeline
