#include "admin/feed.hh"

#include <utility>

namespace sluice::admin {
namespace {
constexpr size_t kPopBytes = size_t{64} << 10;
}

bool Feed::push(std::string piece) {
    if (state_ != State::open)
        return false;
    if (piece.empty())
        return true;
    if (bytes_ + piece.size() > bound_) {
        end(State::overrun);
        return false;
    }
    bytes_ += piece.size();
    pieces_.push_back(std::move(piece));
    if (on_push_)
        on_push_();
    return state_ == State::open;
}

void Feed::close() {
    if (state_ != State::open)
        return;
    state_ = State::closed;
    if (on_push_)
        on_push_();
}

std::optional<std::string> Feed::pop() {
    if (pieces_.empty())
        return std::nullopt;
    std::string result = std::move(pieces_.front());
    pieces_.pop_front();
    while (!pieces_.empty() && result.size() + pieces_.front().size() <= kPopBytes) {
        result += pieces_.front();
        pieces_.pop_front();
    }
    bytes_ -= result.size();
    return result;
}

void Feed::client_gone() {
    on_push_ = nullptr;
    end(State::gone);
}

void Feed::end(State state) {
    if (gone())
        return;
    state_ = state;
    pieces_.clear();
    bytes_ = 0;
    // Either may drop the last reference to this feed's owner, so nothing is touched after them.
    const auto push = std::exchange(on_push_, nullptr);
    const auto gone = std::exchange(on_gone_, nullptr);
    if (push)
        push();
    if (gone)
        gone();
}

}  // namespace sluice::admin
