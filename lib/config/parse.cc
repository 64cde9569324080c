// Builds nodes from the events of yaml-cpp, which is used in this file only.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <span>
#include <spanstream>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/node.hh"
#include "config/places.hh"
#include "config/text_check.hh"

namespace sluice::config {

namespace {

// Where a mark of yaml-cpp is in the text; it counts bytes from 0.
size_t position(const YAML::Mark& mark) {
    return mark.is_null() ? std::string_view::npos : static_cast<size_t>(mark.pos);
}

// Ends the parsing of a text that goes beyond the limits.
struct Stop {};

class Builder : public YAML::EventHandler {
  public:
    Builder(std::string_view file, std::string_view text, Problems& problems, const Limits& limits)
        : file_(file), places_(text), problems_(problems), limits_(limits) {}

    Node take() { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (++documents_ == 1)
            return;
        settle(nullptr);
        report(places_.find(position(mark)), "a second document begins here",
               "expected one document; if it shall be one, check how far lines are indented");
        throw Stop{};
    }
    void OnDocumentEnd() override { settle(nullptr); }

    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
        settle(&mark);
        const auto word = null_word(places_.from(position(mark)));
        if (expects_key()) {
            key(mark, std::string(word), !word.empty());
            return;
        }
        Node& node = place(mark);
        if (!word.empty()) {
            node.kind = Node::Kind::scalar;
            node.text = word;
            unsettled_ = &node;
            unsettled_at_ = mark.pos;
            if (!frames_.empty() && frames_.back().node->is_mapping())
                key_of_unsettled_ = frames_.back().key_mark;
        } else if (!frames_.empty() && frames_.back().node->is_mapping()) {
            node.mark = frames_.back().key_mark;
        }
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  const std::string& value) override {
        settle(&mark);
        const bool quoted = tag == "!";
        if (quoted && !closes_quotes(places_.from(position(mark)))) {
            report(places_.find(position(mark)), "these quotes are never closed",
                   "expected the closing quote");
            throw Stop{};
        }
        if (quoted && !is_utf8(value)) {
            report(places_.find(position(mark)), "the text has an escape that is not taken",
                   "expected the character itself, or \\uXXXX");
            throw Stop{};
        }
        if (expects_key()) {
            if (check_tag(mark, tag, value))
                key(mark, value, true);
            else
                key(mark, {}, false, true);
            return;
        }
        const bool plain = check_tag(mark, tag, value);
        Node& node = place(mark);
        if (!plain) {
            node.broken = true;
            return;
        }
        node.kind = Node::Kind::scalar;
        node.text = value;
        node.quoted = quoted;
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        settle(&mark);
        refuse_alias(mark);
        if (expects_key())
            key(mark, {}, false, true);
        else
            place(mark).broken = true;
    }
    void OnAnchor(const YAML::Mark& mark, const std::string&) override {
        settle(&mark);
        report(places_.find(position(mark)), "anchors are not taken",
               "expected plain YAML; text that begins with & needs quotes");
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        open(mark, tag, Node::Kind::sequence);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {
        open(mark, tag, Node::Kind::mapping);
    }
    void OnMapEnd() override { close(); }

    void refuse_alias(const YAML::Mark& mark) {
        report(places_.find(position(mark)), "aliases are not taken",
               "expected plain YAML; text that begins with * needs quotes");
    }
    void syntax_error(const YAML::ParserException& error);

  private:
    // A list or mapping being read.
    struct Frame {
        Node* node = nullptr;
        bool wants_key = false;
        std::string key;  // of the value to come
        Mark key_mark;
        std::unordered_map<std::string, uint32_t> keys;  // and their lines
        std::unique_ptr<Node> scrap;                     // takes the value of a key that was refused
        bool to_scrap = false;
    };

    bool expects_key() const {
        return !frames_.empty() && frames_.back().node->is_mapping() && frames_.back().wants_key;
    }

    // yaml-cpp marks a value of which nothing is written with the place of what comes next. So a null word
    // was read only if the next event stands elsewhere.
    void settle(const YAML::Mark* next) {
        if (unsettled_ != nullptr && next != nullptr && next->pos == unsettled_at_) {
            unsettled_->kind = Node::Kind::null;
            unsettled_->text.clear();
            unsettled_->mark = key_of_unsettled_;
        }
        unsettled_ = nullptr;
    }

    // Of the value to come, without the innermost `less` levels.
    std::string path(size_t less = 0) const {
        std::string text;
        for (size_t i = 0; i + less < frames_.size(); ++i) {
            const Frame& frame = frames_[i];
            const bool innermost = i + 1 == frames_.size();
            if (frame.node->is_mapping()) {
                if (!(innermost && frame.wants_key))
                    text += (text.empty() ? "" : ".") + frame.key;
            } else {
                const size_t count = frame.node->items.size();
                text += "[" + std::to_string(innermost ? count : count - 1) + "]";
            }
        }
        return text;
    }
    void report(Mark mark, std::string message, std::string hint, size_t less = 0) {
        problems_.add(Problem{std::string(file_), mark, path(less), std::move(message), std::move(hint)});
    }

    bool check_tag(const YAML::Mark& mark, const std::string& tag, const std::string& value) {
        if (tag.empty() || tag == "?" || tag == "!")
            return true;
        if (value.empty() && tag[0] == '!') {
            report(places_.find(position(mark)), "unquoted text that begins with ! is a tag in YAML",
                   "expected \"" + tag + "\", in quotes");
        } else {
            report(places_.find(position(mark)), "tags are not taken",
                   "expected plain YAML; text that begins with ! needs quotes");
        }
        return false;
    }

    // The node for the value that begins at the mark.
    Node& place(const YAML::Mark& mark) {
        if (++nodes_ > limits_.nodes) {
            report(places_.find(position(mark)), "the file has too many values",
                   "expected at most " + std::to_string(limits_.nodes));
            throw Stop{};
        }
        Node* node = &root_;
        if (!frames_.empty()) {
            Frame& frame = frames_.back();
            if (frame.node->is_sequence()) {
                node = &frame.node->items.emplace_back();
            } else {
                frame.wants_key = true;
                if (frame.to_scrap) {
                    frame.scrap = std::make_unique<Node>();
                    node = frame.scrap.get();
                } else {
                    node =
                        &frame.node->entries.emplace_back(Node::Entry{frame.key, frame.key_mark, {}}).value;
                }
            }
        }
        node->mark = places_.find(position(mark));
        return *node;
    }

    void key(const YAML::Mark& mark, std::string text, bool written, bool reported = false) {
        Frame& frame = frames_.back();
        frame.key_mark = places_.find(position(mark));
        if (!written && !reported)
            report(frame.key_mark, "a key is missing here", "expected `key: value`");
        frame.wants_key = false;
        frame.key = std::move(text);
        frame.to_scrap = !written;
        if (!written)
            return;
        const auto [first, is_new] = frame.keys.emplace(frame.key, frame.key_mark.line);
        if (!is_new) {
            frame.to_scrap = true;
            report(frame.key_mark, "the key is given twice, first in line " + std::to_string(first->second),
                   "expected each key once");
        }
    }

    void open(const YAML::Mark& mark, const std::string& tag, Node::Kind kind) {
        settle(&mark);
        if (expects_key()) {
            report(places_.find(position(mark)), "a key must be a single text", "expected `key: value`");
            throw Stop{};
        }
        check_tag(mark, tag, "a list or mapping");
        if (frames_.size() >= limits_.depth) {
            report(places_.find(position(mark)), "this is nested too deep",
                   "expected at most " + std::to_string(limits_.depth) + " levels");
            throw Stop{};
        }
        Node& node = place(mark);
        node.kind = kind;
        Frame frame;
        frame.node = &node;
        frame.wants_key = kind == Node::Kind::mapping;
        frames_.push_back(std::move(frame));
    }
    void close() {
        settle(nullptr);
        frames_.pop_back();
    }

    std::string_view file_;
    Places places_;
    Problems& problems_;
    const Limits& limits_;
    Node root_;
    std::vector<Frame> frames_;
    size_t nodes_ = 0;
    size_t documents_ = 0;
    Node* unsettled_ = nullptr;  // the last value, if it was a null word
    int unsettled_at_ = 0;
    Mark key_of_unsettled_;
};

// What yaml-cpp says, and what to tell the operator.
struct Explanation {
    std::string_view said;
    std::string_view message;
    std::string_view hint;
};
constexpr std::array kExplanations{
    Explanation{"illegal map value", "a `:` cannot stand here",
                "expected text that has `: ` in it in quotes, and keys of one mapping equally indented"},
    Explanation{"illegal tab when looking for indentation", "a tab indents this line", "expected spaces"},
    Explanation{"end of map not found", "this does not continue the mapping above",
                "expected `key: value`, indented as the keys before"},
    Explanation{"end of sequence not found", "this does not continue the list above",
                "expected `- `, indented as the items before"},
    Explanation{"end of map flow not found", "this `{` is never closed", "expected `}`"},
    Explanation{"end of sequence flow not found", "this `[` is never closed", "expected `]`"},
    Explanation{"illegal EOF in scalar", "the text ends within quotes", "expected the closing quote"},
    Explanation{"illegal document indicator in scalar", "the document ends within quotes",
                "expected the closing quote"},
    Explanation{"illegal block entry", "a list item cannot stand here",
                "expected `- ` under its key, indented with spaces"},
    Explanation{"illegal map key", "a key cannot stand here",
                "expected keys of one mapping equally indented"},
};

void Builder::syntax_error(const YAML::ParserException& error) {
    settle(nullptr);
    Mark mark = places_.find(position(error.mark));
    std::string message = "the syntax is wrong: " + error.msg;
    std::string hint = "expected YAML or JSON";
    const auto known = std::ranges::find(kExplanations, error.msg, &Explanation::said);
    const std::string_view rest = places_.from(position(error.mark));
    size_t inner = 0;
    if (known != kExplanations.end()) {
        message = known->message;
        hint = known->hint;
        if (error.msg.ends_with("flow not found") && !frames_.empty()) {
            mark = frames_.back().node->mark;
            inner = 1;
        }
    } else if (error.msg == "the referenced anchor is not defined") {
        refuse_alias(error.mark);
        return;
    } else if (!rest.empty() && (rest[0] == '@' || rest[0] == '`' || rest[0] == '%')) {
        message = "text cannot begin with " + std::string(rest.substr(0, 1)) + " unquoted";
        hint = "expected it in quotes, as in \"" + std::string(rest.substr(0, 1)) + "name\"";
    }
    report(mark, std::move(message), std::move(hint), inner);
}

}  // namespace

Node parse(std::string_view file, std::string_view text, Problems& problems, const Limits& limits) {
    if (!check_text(file, text, problems, limits)) {
        Node refused;
        refused.broken = true;
        return refused;
    }
    Builder builder(file, text, problems, limits);
    bool complete = false;
    try {
        std::ispanstream in(std::span<const char>(text.data(), text.size()));
        YAML::Parser parser(in);
        while (parser.HandleNextDocument(builder)) {
        }
        complete = true;
    } catch (const Stop&) {
        complete = false;  // the reason was reported
    } catch (const YAML::ParserException& error) {
        builder.syntax_error(error);
    } catch (const std::exception& error) {
        problems.add(
            Problem{std::string(file), {}, {}, std::string("cannot be parsed: ") + error.what(), {}});
    }
    Node root = builder.take();
    if (!complete) {
        root = Node{};
        root.broken = true;
    }
    return root;
}

}  // namespace sluice::config
