// Cuts the items out of a list that comes in pieces, so that a list of any length needs no more memory than
// its longest item.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace sluice::sluicectl {

// Of {"items": [{...}, ...], ...}, and of JSON objects one after the other.
class JsonItems {
  public:
    // `depth` is how deep the items lie: 2 in a list, 0 where they stand alone.
    explicit JsonItems(int depth) : depth_(depth) {}
    // Gives each object that is whole now to `visit`.
    void add(std::string_view piece, const std::function<void(std::string_view)>& visit);

  private:
    int depth_;
    int level_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
    std::string item_;
};

}  // namespace sluice::sluicectl
