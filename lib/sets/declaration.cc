#include "sets/declaration.hh"

#include <cstring>

#include "base/file.hh"
#include "sets/element_lines.hh"

namespace sluice::sets {
namespace {

// Origins of elements: lines of the file, and from here on places in the declaration's list.
constexpr uint32_t kListed = 1U << 31;
// Errors after this many are not looked for.
constexpr size_t kMostProblems = config::Problems::kMax;

// FNV-1a over words: tells texts apart, resists nobody.
class Digest {
  public:
    void add(std::string_view text) {
        add(text.size());
        for (; text.size() >= 8; text.remove_prefix(8)) {
            uint64_t word = 0;
            std::memcpy(&word, text.data(), 8);
            add(word);
        }
        for (const char byte : text)
            add(static_cast<uint64_t>(static_cast<unsigned char>(byte)));
    }
    void add(uint64_t word) {
        value_ = (value_ ^ word) * 0x100000001b3U;
        value_ ^= value_ >> 29;
    }
    [[nodiscard]] uint64_t value() const { return value_; }

  private:
    uint64_t value_ = 0xcbf29ce484222325U;
};

// Puts elements into a builder and tells of mistakes where they stand.
class Reading {
  public:
    Reading(const SetDeclaration& declaration, BodyBuilder& builder, Instant now, config::Problems& problems)
        : declaration_(declaration), builder_(builder), now_(now), problems_(problems) {}

    void listed() {
        for (size_t i = 0; i < declaration_.elements.size() && going(); ++i) {
            const DeclaredElement& each = declaration_.elements[i];
            const auto origin = static_cast<uint32_t>(kListed + i);
            auto value = parse_element(declaration_.options.type, each.value);
            if (!value) {
                complain(origin, value.error());
                continue;
            }
            put({*value, each.timeout, each.comment}, origin);
        }
    }
    void lines(std::string_view text) {
        for_each_line(text, [this](uint32_t number, std::string_view line) {
            auto element = parse_line(declaration_.options.type, line);
            if (!element)
                complain(number, element.error());
            else if (*element)
                put(**element, number);
            return going();
        });
    }
    void overlaps() {
        const SetType& type = declaration_.options.type;
        for (const auto& conflict : builder_.finish())
            complain(conflict.origin, {"'" + format(type, conflict.value) + "' overlaps '" +
                                           format(type, conflict.other_value) + "'" + place(conflict.other),
                                       "elements may lie inside one another, but not overlap in part"});
    }
    [[nodiscard]] bool good() const { return found_ == 0; }

  private:
    [[nodiscard]] bool going() const { return found_ < kMostProblems && !full_; }
    void put(const Element& element, uint32_t origin) {
        auto good = builder_.add(element, origin, now_);
        if (good)
            return;
        complain(origin, good.error());
        // Every further element would say the same.
        full_ = builder_.added() >= declaration_.options.size;
    }
    [[nodiscard]] std::string place(uint32_t origin) const {
        return origin >= kListed ? "" : " of line " + std::to_string(origin);
    }
    void complain(uint32_t origin, const Error& error) {
        ++found_;
        if (origin >= kListed)
            problems_.add(declaration_.elements[origin - kListed].at, error.message, error.hint);
        else
            problems_.add(
                {declaration_.file, {origin, 1}, "sets." + declaration_.name, error.message, error.hint});
    }

    const SetDeclaration& declaration_;
    BodyBuilder& builder_;
    Instant now_;
    config::Problems& problems_;
    size_t found_ = 0;
    bool full_ = false;
};

}  // namespace

std::optional<DeclaredContent> DeclaredContent::read(const SetDeclaration& declaration,
                                                     config::Problems& problems) {
    DeclaredContent content;
    content.declaration_ = &declaration;
    if (!declaration.file.empty()) {
        auto text = read_file(declaration.file, kMaxFileBytes, "a file with one element a line");
        if (!text) {
            problems.add(declaration.at.inside("file"), text.error().message, text.error().hint);
            return std::nullopt;
        }
        content.text_ = std::move(*text);
    }
    Digest digest;
    digest.add(declaration.options.type.to_string());
    for (const DeclaredElement& element : declaration.elements) {
        digest.add(element.value);
        digest.add(element.comment);
        digest.add(element.timeout ? static_cast<uint64_t>(element.timeout->count()) : ~uint64_t{0});
    }
    digest.add(content.text_);
    content.digest_ = digest.value();
    return content;
}

std::unique_ptr<BodyBuilder> DeclaredContent::build(const SetOptions& options, uint64_t seed, Instant now,
                                                    config::Problems& problems) const {
    LineCount lines = count_lines(text_);
    if (!options.type.has_address())
        lines = {lines.ip4 + lines.ip6, 0};
    auto builder = std::make_unique<BodyBuilder>(
        options, seed, std::array{declaration_->elements.size() + lines.ip4, lines.ip6});
    Reading reading(*declaration_, *builder, now, problems);
    reading.listed();
    reading.lines(text_);
    reading.overlaps();
    return reading.good() ? std::move(builder) : nullptr;
}

}  // namespace sluice::sets
