#include "admin/control_loop.hh"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <optional>
#include <stdexcept>
#include <unordered_set>
#include <utility>

namespace sluice::admin {

using boost::system::error_code;

// What is registered. The loop keeps every entry until it is cancelled, and takes Asio's objects out of those
// left when it ends, so that a Registration may outlive it.
class ControlLoop::Registration::Entry {
  public:
    Entry(ControlLoop& owner, Handler handler) : loop(owner), fn(std::move(handler)) {}
    virtual ~Entry() = default;
    virtual void close() = 0;  // destroys Asio's object

    ControlLoop& loop;
    Handler fn;  // kept after a cancel: it may be the one at work
    bool active = true;
};

struct ControlLoop::Impl {
    explicit Impl(Complaint c) : complaint(std::move(c)) {}

    boost::asio::io_context context;
    Complaint complaint;
    std::unordered_set<std::shared_ptr<Registration::Entry>> entries;

    void end(const std::shared_ptr<Registration::Entry>& entry) {
        entry->active = false;
        entry->close();
        entries.erase(entry);
    }
};

namespace {

using Entry = ControlLoop::Registration::Entry;
using SteadyTimer = boost::asio::steady_timer;
using Descriptor = boost::asio::posix::stream_descriptor;

SteadyTimer::duration asio_duration(Duration duration) {
    return std::chrono::duration_cast<SteadyTimer::duration>(duration);
}

struct PeriodicTimer : Entry, std::enable_shared_from_this<PeriodicTimer> {
    PeriodicTimer(ControlLoop& owner, Duration every, ControlLoop::Handler handler)
        : Entry(owner, std::move(handler)), timer(owner.context()), period(asio_duration(every)) {
        timer->expires_after(period);
    }
    void wait() {
        timer->async_wait([self = shared_from_this()](error_code error) {
            if (error || !self->active)
                return;
            self->loop.guarded("timer", self->fn);
            if (self->active)
                self->next();
        });
    }
    void next() {
        const auto now = SteadyTimer::clock_type::now();
        auto due = timer->expiry() + period;
        if (due <= now)
            due += ((now - due) / period + 1) * period;
        timer->expires_at(due);
        wait();
    }
    void close() override { timer.reset(); }

    std::optional<SteadyTimer> timer;
    SteadyTimer::duration period;
};

struct OneTimer : Entry, std::enable_shared_from_this<OneTimer> {
    OneTimer(ControlLoop& owner, Duration delay, ControlLoop::Handler handler)
        : Entry(owner, std::move(handler)), timer(owner.context()) {
        timer->expires_after(asio_duration(delay));
    }
    // `end` takes the entry out of the loop.
    void wait(std::function<void(const std::shared_ptr<Entry>&)> end) {
        timer->async_wait([self = shared_from_this(), end = std::move(end)](error_code error) {
            if (error || !self->active)
                return;
            end(self);
            self->loop.guarded("timer", self->fn);
        });
    }
    void close() override { timer.reset(); }

    std::optional<SteadyTimer> timer;
};

struct WatchedDescriptor : Entry, std::enable_shared_from_this<WatchedDescriptor> {
    WatchedDescriptor(ControlLoop& owner, ControlLoop::Handler handler)
        : Entry(owner, std::move(handler)), descriptor(owner.context()) {}
    void wait() {
        descriptor->async_wait(Descriptor::wait_read, [self = shared_from_this()](error_code error) {
            if (error || !self->active)
                return;
            self->loop.guarded("descriptor", self->fn);
            if (self->active)
                self->wait();
        });
    }
    void close() override {
        if (descriptor && descriptor->is_open())
            descriptor->release();  // the caller closes it
        descriptor.reset();
    }

    std::optional<Descriptor> descriptor;
};

struct WatchedSignal : Entry, std::enable_shared_from_this<WatchedSignal> {
    WatchedSignal(ControlLoop& owner, ControlLoop::Handler handler)
        : Entry(owner, std::move(handler)), signals(owner.context()) {}
    void wait() {
        signals->async_wait([self = shared_from_this()](error_code error, int) {
            if (error || !self->active)
                return;
            self->loop.guarded("signal", self->fn);
            if (self->active)
                self->wait();
        });
    }
    void close() override { signals.reset(); }

    std::optional<boost::asio::signal_set> signals;
};

}  // namespace

ControlLoop::Registration& ControlLoop::Registration::operator=(Registration&& other) noexcept {
    if (this != &other) {
        cancel();
        entry_ = std::move(other.entry_);
    }
    return *this;
}

void ControlLoop::Registration::cancel() {
    const auto entry = std::exchange(entry_, nullptr);
    if (entry && entry->active)
        entry->loop.impl_->end(entry);
}

bool ControlLoop::Registration::active() const {
    return entry_ && entry_->active;
}

ControlLoop::ControlLoop(Complaint complaint) : impl_(std::make_unique<Impl>(std::move(complaint))) {}

ControlLoop::~ControlLoop() {
    while (!impl_->entries.empty()) {
        const auto entry = *impl_->entries.begin();
        impl_->end(entry);
    }
}

void ControlLoop::run() {
    const auto work = boost::asio::make_work_guard(impl_->context);
    impl_->context.restart();
    while (!impl_->context.stopped())
        guarded("handler", [this] { impl_->context.run(); });
}

void ControlLoop::stop() {
    boost::asio::post(impl_->context, [this] { impl_->context.stop(); });
}

void ControlLoop::post(Handler fn) {
    boost::asio::post(impl_->context, [this, fn = std::move(fn)] { guarded("posted call", fn); });
}

ControlLoop::Registration ControlLoop::every(Duration period, Handler fn) {
    if (period <= Duration::zero())
        throw std::logic_error("a period must be longer than nothing");
    const auto entry = std::make_shared<PeriodicTimer>(*this, period, std::move(fn));
    impl_->entries.insert(entry);
    entry->wait();
    return Registration(entry);
}

ControlLoop::Registration ControlLoop::after(Duration delay, Handler fn) {
    const auto entry = std::make_shared<OneTimer>(*this, delay, std::move(fn));
    impl_->entries.insert(entry);
    entry->wait([impl = impl_.get()](const std::shared_ptr<Entry>& one) { impl->end(one); });
    return Registration(entry);
}

Expected<ControlLoop::Registration> ControlLoop::on_readable(int fd, Handler fn) {
    const auto entry = std::make_shared<WatchedDescriptor>(*this, std::move(fn));
    error_code error;
    entry->descriptor->assign(fd, error);
    if (error)
        return fail("descriptor " + std::to_string(fd) + " cannot be watched: " + error.message());
    impl_->entries.insert(entry);
    entry->wait();
    return Registration(entry);
}

Expected<ControlLoop::Registration> ControlLoop::on_signal(int signo, Handler fn) {
    const auto entry = std::make_shared<WatchedSignal>(*this, std::move(fn));
    error_code error;
    entry->signals->add(signo, error);
    if (error)
        return fail("signal " + std::to_string(signo) + " cannot be watched: " + error.message());
    impl_->entries.insert(entry);
    entry->wait();
    return Registration(entry);
}

boost::asio::io_context& ControlLoop::context() {
    return impl_->context;
}

bool ControlLoop::guarded(std::string_view where, const std::function<void()>& fn) {
    try {
        fn();
        return true;
    } catch (const std::exception& exception) {
        if (impl_->complaint)
            impl_->complaint(where, exception.what());
    } catch (...) {
        if (impl_->complaint)
            impl_->complaint(where, "something that is no exception");
    }
    return false;
}

}  // namespace sluice::admin
