#include "replay/dataplane.hh"

namespace sluice::replay {

std::string_view to_string(FinalVerdict verdict) {
    switch (verdict) {
        case FinalVerdict::accept:
            return "accept";
        case FinalVerdict::drop:
            return "drop";
        case FinalVerdict::consumed:
            return "consumed";
        case FinalVerdict::held:
            return "held";
    }
    return "";
}

}  // namespace sluice::replay
