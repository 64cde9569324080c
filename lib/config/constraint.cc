#include "config/constraint.hh"

namespace sluice::config {

std::string Constraint::amend(const std::string& expected) const {
    if (!range)
        return expected;
    if (range->high_text.empty())
        return expected + " of at least " + range->low_text;
    return expected + " from " + range->low_text + " to " + range->high_text;
}

}  // namespace sluice::config
