// The loop of the control thread (the main lcore): timers, signals, readable descriptors, the admin sockets
// and whatever other threads hand over. Only post() and stop() may be called from other threads.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/error.hh"
#include "base/time.hh"

namespace boost::asio {
class io_context;
}

namespace sluice::admin {

class ControlLoop {
  public:
    using Handler = std::function<void()>;
    // Told of an exception that left a handler: which kind of handler ("timer", "signal", ...) and what() it
    // said.
    using Complaint = std::function<void(std::string_view where, std::string_view what)>;

    // A timer, a watched descriptor or a signal. Ends the registration when it is destroyed; after that, or
    // after cancel(), its handler is never called again. May be cancelled from inside the handler, and may
    // outlive the loop.
    class [[nodiscard]] Registration {
      public:
        Registration() = default;
        Registration(Registration&&) noexcept = default;
        Registration& operator=(Registration&& other) noexcept;
        Registration(const Registration&) = delete;
        Registration& operator=(const Registration&) = delete;
        ~Registration() { cancel(); }
        void cancel();
        // Lets it live as long as the loop does.
        void keep() { entry_.reset(); }
        [[nodiscard]] bool active() const;

        class Entry;
        explicit Registration(std::shared_ptr<Entry> entry) : entry_(std::move(entry)) {}

      private:
        std::shared_ptr<Entry> entry_;
    };

    explicit ControlLoop(Complaint complaint);
    ~ControlLoop();
    ControlLoop(const ControlLoop&) = delete;
    ControlLoop& operator=(const ControlLoop&) = delete;

    // Handles events on the calling thread until stop(). A handler that throws is complained of and the loop
    // goes on.
    void run();
    // Ends run() once what was posted before has been handled; also a run() that is yet to begin. Any thread.
    void stop();
    // Has fn called by the loop's thread, soon and in order. Any thread; may allocate.
    void post(Handler fn);

    // Calls fn every period; when the thread was late, periods that passed meanwhile are left out.
    Registration every(Duration period, Handler fn);
    // Calls fn once, after the delay.
    Registration after(Duration delay, Handler fn);
    // Calls fn whenever fd has something to read (or hung up) and again as long as it has: fn must read it.
    // The caller keeps owning fd, and cancels before closing it.
    Expected<Registration> on_readable(int fd, Handler fn);
    // Calls fn when the process gets the signal. Whichever thread the kernel interrupts, fn runs
    // on the loop's; several signals that come together may be one call.
    Expected<Registration> on_signal(int signo, Handler fn);

    // For this folder's .cc files.
    [[nodiscard]] boost::asio::io_context& context();
    // Calls fn; what it throws becomes a complaint. False if it threw.
    bool guarded(std::string_view where, const std::function<void()>& fn);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sluice::admin
