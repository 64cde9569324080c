// Builds the content of a set aside, before anybody sees it. Control thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.hh"
#include "sets/element.hh"
#include "sets/set.hh"

namespace sluice::sets {

class BodyBuilder {
  public:
    BodyBuilder(const SetOptions& options, uint64_t seed, const std::array<size_t, 2>& expected = {});
    ~BodyBuilder();

    // `origin` is where the element was written: a number of the caller's. An element that is there already
    // is merged into it. An error if there is no room.
    Expected<void> add(const Element& element, uint32_t origin, Instant now);
    // With what an element of another set has left of its time and what it counted.
    bool copy(const ElementStatus& status, Instant now);

    // Two elements of which neither lies inside the other.
    struct Conflict {
        uint32_t origin;
        uint32_t other;
        ElementValue value;
        ElementValue other_value;
    };
    // Merges elements that lie inside others, in sets of one field; call it after the last add().
    std::vector<Conflict> finish();

    [[nodiscard]] size_t added() const { return added_; }
    [[nodiscard]] size_t merged() const { return merged_; }
    [[nodiscard]] const SetOptions& options() const { return options_; }
    [[nodiscard]] std::unique_ptr<Body> take();

  private:
    std::vector<Conflict> settle_overlaps();
    template <typename Number>
    void resolve(Family family, std::vector<Conflict>& conflicts);

    SetOptions options_;
    std::unique_ptr<Body> body_;
    std::array<std::vector<uint32_t>, 2> origins_;  // by record, if they may be asked for
    size_t added_ = 0;
    size_t merged_ = 0;
};

}  // namespace sluice::sets
