#include "bpf/verify.hh"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "bpf/verify_state.hh"

namespace sluice::bpf {
namespace {

constexpr const char* kMachineHint = "expected a program compiled with -mcpu=v2";

std::unexpected<Error> refuse(size_t at, const std::string& why, std::string hint = {}) {
    return fail("instruction " + std::to_string(at) + ": " + why, std::move(hint));
}

std::string name_of(unsigned reg) {
    return "r" + std::to_string(reg);
}

// Whether the parts of an instruction that say nothing are zero, as compilers leave them. Translators need
// not know what to make of others.
bool is_plain(const Instruction& instruction) {
    const bool has_source = instruction.source() != 0;
    const bool has_destination = instruction.destination() != 0;
    const bool has_constant = instruction.immediate != 0;
    const bool by_register = instruction.has_register_operand();
    const unsigned operation = instruction.operation();
    switch (instruction.instruction_class()) {
        case kAlu32:
        case kAlu64:
            if (operation == alu::end)
                return !has_source;
            if (operation == alu::neg)
                return !has_source && !has_constant && !by_register;
            return by_register ? !has_constant : !has_source;
        case kLoadMemory:
        case kStore:
            return !has_constant;
        case kStoreConstant:
            return !has_source;
        case kJump:
            if (operation == jump::call)
                return !by_register && !has_destination && !has_source && instruction.offset == 0;
            if (operation == jump::exit || operation == jump::always)
                return !by_register && !has_destination && !has_source && !has_constant &&
                       (operation == jump::always || instruction.offset == 0);
            return by_register ? !has_constant : !has_source;
        default:
            return true;
    }
}

// Translated, a constant that is too large for a shift would not end where the instruction does.
bool shifts_too_far(const Instruction& instruction) {
    const unsigned operation = instruction.operation();
    const bool shifts = operation == alu::lsh || operation == alu::rsh || operation == alu::arsh;
    const int width = instruction.instruction_class() == kAlu64 ? 64 : 32;
    return shifts && !instruction.has_register_operand() &&
           (instruction.immediate < 0 || instruction.immediate >= width);
}

// Where control goes from an instruction.
struct Ways {
    std::optional<size_t> next;
    std::optional<size_t> jump;
};

class Verifier {
  public:
    Verifier(const LinkedCode& code, std::span<const Helper> helpers, const Region& region)
        : code_(code), instructions_(code.instructions), helpers_(helpers), region_(region) {}

    Expected<Facts> run() {
        if (auto done = find_ways(); !done)
            return std::unexpected(done.error());
        if (auto done = find_order(); !done)
            return std::unexpected(done.error());
        if (auto done = count_steps(); !done)
            return std::unexpected(done.error());
        states_.resize(instructions_.size());
        states_[0] = std::make_unique<State>(State::entry());
        for (const uint32_t at : order_) {
            State state = *states_[at];
            states_[at].reset();
            if (auto done = step(at, state); !done)
                return std::unexpected(done.error());
        }
        return facts_;
    }

  private:
    [[nodiscard]] bool is_wide(size_t at) const { return instructions_[at].code == kLoadWide; }

    Expected<void> find_ways() {
        const size_t count = instructions_.size();
        std::vector<bool> is_second(count);
        for (size_t at = 0; at < count; ++at) {
            if (is_wide(at) && !is_second[at]) {
                if (at + 1 == count || instructions_[at + 1].code != 0)
                    return refuse(at, "the second half of a wide load is missing");
                is_second[at + 1] = true;
            }
        }
        ways_.resize(count);
        for (size_t at = 0; at < count; ++at) {
            if (is_second[at])
                continue;
            const auto& instruction = instructions_[at];
            Ways& ways = ways_[at];
            const bool is_jump = instruction.instruction_class() == kJump;
            const unsigned operation = instruction.operation();
            const bool ends = is_jump && (operation == jump::exit || operation == jump::always);
            if (!ends)
                ways.next = at + (is_wide(at) ? 2 : 1);
            if (is_jump && operation != jump::exit && operation != jump::call) {
                const auto to = static_cast<int64_t>(at) + 1 + instruction.offset;
                if (to < 0 || to >= static_cast<int64_t>(count))
                    return refuse(at, "jumps out of the program");
                ways.jump = static_cast<size_t>(to);
            }
            for (const auto& way : {ways.next, ways.jump}) {
                if (way && *way >= count)
                    return refuse(at, "the program goes on behind its end", "expected a return before");
                if (way && is_second[*way])
                    return refuse(at, "jumps into the middle of an instruction");
            }
        }
        is_second_ = std::move(is_second);
        return {};
    }

    // Every instruction behind all that may come before it.
    Expected<void> find_order() {
        enum class Mark : uint8_t { unseen, entered, left };
        std::vector<Mark> marks(instructions_.size(), Mark::unseen);
        struct Place {
            uint32_t at;
            uint8_t tried;
        };
        std::vector<Place> path{{0, 0}};
        marks[0] = Mark::entered;
        while (!path.empty()) {
            Place& place = path.back();
            const Ways& ways = ways_[place.at];
            if (place.tried == 2) {
                marks[place.at] = Mark::left;
                order_.push_back(place.at);
                path.pop_back();
                continue;
            }
            const auto& way = place.tried++ == 0 ? ways.next : ways.jump;
            if (!way)
                continue;
            if (marks[*way] == Mark::entered)
                return refuse(place.at, "jumps back: the program has a loop",
                              "expected loops to be unrolled (#pragma unroll)");
            if (marks[*way] == Mark::unseen) {
                marks[*way] = Mark::entered;
                path.push_back({static_cast<uint32_t>(*way), 0});
            }
        }
        std::ranges::reverse(order_);
        for (size_t at = 0; at < marks.size(); ++at) {
            if (marks[at] == Mark::unseen && !is_second_[at])
                return refuse(at, "is never reached",
                              "expected one function in the section, and its helpers static __always_inline");
        }
        return {};
    }

    // DPDK goes each way through the program for itself, and at every branch that rejoins the others there
    // are twice as many.
    Expected<void> count_steps() {
        std::vector<uint64_t> visits(instructions_.size());
        visits[order_.front()] = 1;
        uint64_t steps = 0;
        for (const uint32_t at : order_) {
            steps += visits[at];
            if (steps > kMaxSteps)
                return fail("there are too many ways through the program: to follow each takes more than " +
                                std::to_string(kMaxSteps) + " steps",
                            "expected fewer branches one after the other; return early, or ask a set");
            for (const auto& way : {ways_[at].next, ways_[at].jump})
                if (way)
                    visits[*way] += visits[at];
        }
        return {};
    }

    void arrive(const std::optional<size_t>& at, const State& state) {
        if (!at)
            return;
        auto& known = states_[*at];
        if (known == nullptr)
            known = std::make_unique<State>(state);
        else
            known->meet(state);
    }

    Expected<void> step(size_t at, State& state) {
        const auto& instruction = instructions_[at];
        if (instruction.destination() >= kRegisters || instruction.source() >= kRegisters)
            return refuse(at, "names a register that does not exist");
        if (!is_plain(instruction))
            return refuse(at, "has parts that mean nothing", kMachineHint);
        Expected<void> done;
        switch (instruction.instruction_class()) {
            case kAlu32:
            case kAlu64:
                done = compute(at, state);
                break;
            case kLoad:
                done = load_wide(at, state);
                break;
            case kLoadMemory:
                done = load(at, state);
                break;
            case kStoreConstant:
            case kStore:
                done = store(at, state);
                break;
            case kJump:
                return branch(at, state);
            default:
                done = refuse(at, "is of a newer machine", kMachineHint);
        }
        if (done)
            arrive(ways_[at].next, state);
        return done;
    }

    // The value of the right side; nothing if that is unknown.
    static std::optional<Value> operand(const Instruction& instruction, const State& state) {
        if (!instruction.has_register_operand()) {
            const auto constant = static_cast<uint64_t>(int64_t{instruction.immediate});
            return Value::number(constant, constant);
        }
        const Value& value = state[instruction.source()];
        return value.kind() == Value::Kind::unknown ? std::nullopt : std::optional(value);
    }

    Expected<void> compute(size_t at, State& state) {
        const auto& instruction = instructions_[at];
        const unsigned operation = instruction.operation();
        const bool is_half = instruction.instruction_class() == kAlu32;
        const unsigned to = instruction.destination();
        if (instruction.offset != 0 || operation > alu::end || (operation == alu::end && !is_half))
            return refuse(at, "is of a newer machine", kMachineHint);
        if (to == kStackPointer)
            return refuse(at, "changes the stack pointer");
        if (shifts_too_far(instruction))
            return refuse(at, "shifts by more bits than there are");
        const Value left = state[to];
        if (operation == alu::end || operation == alu::neg) {
            if (!left.is_number())
                return refuse(at, "calculates with " + name_of(to) + ", which is no number here");
            const bool known_width =
                instruction.immediate == 16 || instruction.immediate == 32 || instruction.immediate == 64;
            if (operation == alu::end && !known_width)
                return refuse(at, "swaps the bytes of a strange width");
            if (operation == alu::neg)
                state.set(to, is_half ? calculate32(operation, left, left) : Value::number());
            else
                state.set(to, Value::number(0, instruction.immediate == 64
                                                   ? Value::kMax
                                                   : (uint64_t{1} << instruction.immediate) - 1));
            return {};
        }
        const auto right = operand(instruction, state);
        if (!right)
            return refuse(at, "reads " + name_of(instruction.source()) + ", which has no value here");
        if (operation == alu::mov) {
            if (is_half && !right->is_number())
                return refuse(at, "takes half of an address");
            state.set(to, is_half ? calculate32(operation, *right, *right) : *right);
            return {};
        }
        if (left.kind() == Value::Kind::unknown)
            return refuse(at, "reads " + name_of(to) + ", which has no value here");
        const bool divides = operation == alu::div || operation == alu::mod;
        if (divides && right->is_number() && may_be_zero(*right, is_half))
            return refuse(at, "divides by what may be zero", "expected a comparison with zero before");
        if (left.is_number() && right->is_number()) {
            state.set(to,
                      is_half ? calculate32(operation, left, *right) : calculate(operation, left, *right));
            return {};
        }
        const auto moved = is_half ? std::nullopt : move_address(operation, left, *right);
        if (!moved)
            return refuse(at, "calculates with an address in a way that cannot be followed",
                          "expected an address and a number with known bounds; sluice_load() reads anywhere "
                          "in the packet");
        state.set(to, *moved);
        return {};
    }

    static bool may_be_zero(const Value& value, bool is_half) {
        constexpr uint64_t kHalf = 0xffffffff;
        return value.low() == 0 || (is_half && value.high() > kHalf);
    }

    // An address and a number added, or a constant subtracted.
    static std::optional<Value> move_address(unsigned operation, const Value& left, const Value& right) {
        const bool adds = operation == alu::add;
        if (!adds && (operation != alu::sub || !left.is_address()))
            return std::nullopt;
        const Value& address = left.is_address() ? left : right;
        const Value& by = left.is_address() ? right : left;
        if (!address.is_address() || !by.is_number())
            return std::nullopt;
        int64_t least = 0;
        int64_t most = 0;
        const bool is_constant = by.low() == by.high();
        if (is_constant) {
            least = most = static_cast<int64_t>(by.low());
        } else if (adds && address.kind() == Value::Kind::region && by.high() <= Value::kFar) {
            least = static_cast<int64_t>(by.low());
            most = static_cast<int64_t>(by.high());
        } else {
            return std::nullopt;
        }
        if (least < -Value::kFar || most > Value::kFar)
            return std::nullopt;
        const int64_t sign = adds ? 1 : -1;
        const int64_t first = address.first() + sign * least;
        const int64_t last = address.last() + sign * most;
        if (first < -Value::kFar || last > Value::kFar)
            return std::nullopt;
        return address.kind() == Value::Kind::stack ? Value::stack(first) : Value::region(first, last);
    }

    Expected<void> load_wide(size_t at, State& state) {
        const auto& instruction = instructions_[at];
        const auto& second = instructions_[at + (is_wide(at) ? 1 : 0)];
        if (!is_wide(at) || instruction.source() != 0 || instruction.offset != 0 || second.registers != 0 ||
            second.offset != 0)
            return refuse(at, "loads in a way that has no meaning here", kMachineHint);
        if (instruction.destination() == kStackPointer)
            return refuse(at, "changes the stack pointer");
        const auto handle = std::ranges::lower_bound(code_.handles, at, {}, &HandleLoad::at);
        if (handle != code_.handles.end() && handle->at == at) {
            state.set(instruction.destination(), Value::handle(handle->handle.kinds));
            return {};
        }
        const uint64_t constant = static_cast<uint32_t>(instruction.immediate) |
                                  uint64_t{static_cast<uint32_t>(second.immediate)} << 32;
        state.set(instruction.destination(), Value::number(constant, constant));
        return {};
    }

    // Whether memory may be touched there; notes how far the program reaches.
    Expected<void> touch(size_t at, const Value& address, unsigned width, bool writes, unsigned reg) {
        const auto& instruction = instructions_[at];
        const std::string what = (writes ? "writes " : "reads ") + std::to_string(width) + " bytes";
        if (!address.is_address())
            return refuse(at, what + " by " + name_of(reg) + ", which is no address here");
        const int64_t first = address.first() + instruction.offset;
        const int64_t end = address.last() + instruction.offset + width;
        if (address.kind() == Value::Kind::stack) {
            if (first < -kStackBytes || end > 0)
                return refuse(
                    at, what + " outside its stack",
                    "expected at most " + std::to_string(kStackBytes) + " bytes of local variables");
            return {};
        }
        if (first < 0 || end > static_cast<int64_t>(region_.size))
            return refuse(at,
                          what + " from " + std::to_string(first) + " to " + std::to_string(end) +
                              " of struct sluice_packet, which has " + std::to_string(region_.size),
                          "expected an index with known bounds; sluice_load() reads anywhere in the packet");
        if (writes && first < static_cast<int64_t>(region_.writable_from))
            return refuse(at, "writes to what it can only read", "expected writes to the frame alone");
        facts_.reach = std::max(facts_.reach, static_cast<uint32_t>(end));
        facts_.writes = facts_.writes || writes;
        return {};
    }

    Expected<void> load(size_t at, State& state) {
        const auto& instruction = instructions_[at];
        const unsigned to = instruction.destination();
        if (instruction.mode() != kMemory)
            return refuse(at, "loads in a way that has no meaning here", kMachineHint);
        if (to == kStackPointer)
            return refuse(at, "changes the stack pointer");
        const unsigned width = instruction.width();
        const Value address = state[instruction.source()];
        if (auto done = touch(at, address, width, false, instruction.source()); !done)
            return done;
        Value value = width == 8 ? Value::number() : Value::number(0, (uint64_t{1} << 8 * width) - 1);
        if (address.kind() == Value::Kind::stack) {
            value = state.load(address.first() + instruction.offset, width);
            if (value.kind() == Value::Kind::unknown)
                return refuse(at, "reads from the stack what was not written there");
        }
        state.set(to, value);
        return {};
    }

    Expected<void> store(size_t at, State& state) {
        const auto& instruction = instructions_[at];
        if (instruction.mode() != kMemory)
            return refuse(at, "is an atomic operation", "expected plain writes; sluice_count() counts");
        Value value = Value::number();
        if (instruction.instruction_class() == kStore)
            value = state[instruction.source()];
        if (value.kind() == Value::Kind::unknown)
            return refuse(at, "reads " + name_of(instruction.source()) + ", which has no value here");
        const unsigned width = instruction.width();
        const Value address = state[instruction.destination()];
        if (auto done = touch(at, address, width, true, instruction.destination()); !done)
            return done;
        if (address.kind() == Value::Kind::stack) {
            if (!state.store(address.first() + instruction.offset, width, value))
                return refuse(at, "writes a part of an address to the stack");
            return {};
        }
        if (!value.is_number())
            return refuse(at, "writes an address into the packet");
        return {};
    }

    Expected<void> branch(size_t at, State& state) {
        const auto& instruction = instructions_[at];
        const unsigned operation = instruction.operation();
        if (operation == jump::call)
            return call(at, state);
        if (operation == jump::exit) {
            if (!state[0].is_number())
                return refuse(at, "returns no number");
            return {};
        }
        if (operation == jump::always) {
            arrive(ways_[at].jump, state);
            return {};
        }
        if (operation > jump::sle)
            return refuse(at, "is of a newer machine", kMachineHint);
        const unsigned reg = instruction.destination();
        const auto right = operand(instruction, state);
        if (!state[reg].is_number() || !right || !right->is_number())
            return refuse(at, "compares what is no number here");
        State taken = state;
        if (!instruction.has_register_operand()) {
            const Value value = state[reg];
            taken.set(reg, narrowed(value, operation, right->low(), true));
            state.set(reg, narrowed(value, operation, right->low(), false));
        }
        arrive(ways_[at].jump, taken);
        arrive(ways_[at].next, state);
        return {};
    }

    Expected<void> call(size_t at, State& state) {
        const auto& instruction = instructions_[at];
        if (!std::ranges::binary_search(code_.calls, at))
            return refuse(
                at, "calls a helper of the kernel by its number " + std::to_string(instruction.immediate),
                "expected the functions of sluice_bpf.h");
        const Helper& helper = helpers_[static_cast<size_t>(instruction.immediate)];
        const std::string name(helper.name);
        if (state[1] != Value::region(0, 0))
            return refuse(at, "the first argument of " + name + " is not the program's own");
        for (size_t i = 0; i < helper.parameters.size(); ++i) {
            const uint32_t kinds = helper.parameters[i].kinds;
            const Value& value = state[static_cast<unsigned>(i) + 2];
            const bool fits = kinds == 0
                                  ? value.is_number()
                                  : value.kind() == Value::Kind::handle && (value.kinds() & kinds) != 0;
            if (!fits)
                return refuse(at, "argument " + std::to_string(i + 2) + " of " + name + " is not of its kind",
                              kinds == 0 ? "expected a number"
                                         : "expected what sluice_bpf.h says, and a set of a type that fits");
        }
        for (unsigned reg = 1; reg <= 5; ++reg)
            state.set(reg, {});
        state.set(0, Value::number());
        facts_.writes = facts_.writes || helper.changes_packet;
        arrive(ways_[at].next, state);
        return {};
    }

    const LinkedCode& code_;
    const std::vector<Instruction>& instructions_;
    std::span<const Helper> helpers_;
    Region region_;
    std::vector<Ways> ways_;
    std::vector<bool> is_second_;
    std::vector<uint32_t> order_;
    std::vector<std::unique_ptr<State>> states_;
    Facts facts_;
};

}  // namespace

Expected<Facts> verify(const LinkedCode& code, std::span<const Helper> helpers, const Region& region) {
    if (code.instructions.empty())
        return fail("the program has no instructions");
    return Verifier(code, helpers, region).run();
}

}  // namespace sluice::bpf
