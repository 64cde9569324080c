// Wakes a thread that sleeps on descriptors. Any thread rings, one thread listens.
#pragma once

#include "base/error.hh"

namespace sluice::dpdk {

class Bell {
  public:
    static Expected<Bell> create();
    Bell(Bell&& other) noexcept;
    Bell& operator=(Bell&&) = delete;
    Bell(const Bell&) = delete;
    ~Bell();

    void ring() const;
    void clear() const;  // after it was heard
    // Readable while it rings.
    [[nodiscard]] int descriptor() const { return event_; }

  private:
    explicit Bell(int event) : event_(event) {}
    int event_;
};

}  // namespace sluice::dpdk
