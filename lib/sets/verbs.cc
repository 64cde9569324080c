#include "sets/verbs.hh"

#include <boost/json.hpp>
#include <optional>

#include "sets/element_lines.hh"

namespace sluice::sets {
namespace {

namespace json = boost::json;

// A piece of a streamed listing: records looked at.
constexpr size_t kSlice = 512;

json::object set_json(const SetTable::Entry& entry) {
    const Set& set = *entry.set;
    const SetOptions& options = set.options();
    json::object object{{"name", set.name()},
                        {"type", options.type.to_string()},
                        {"count", set.element_count()},
                        {"size", options.size},
                        {"memory", set.memory_bytes()},
                        {"timeout", nullptr},
                        {"counters", options.counters},
                        {"dynamic", options.dynamic},
                        {"full", set.counters().full.load(std::memory_order_relaxed)},
                        {"added", set.counters().added.load(std::memory_order_relaxed)},
                        {"expired", set.counters().expired.load(std::memory_order_relaxed)}};
    if (options.timeout != Duration{})
        object["timeout"] = seconds(options.timeout);
    if (!entry.declaration.file.empty())
        object["file"] = entry.declaration.file;
    if (!entry.declaration.description.empty())
        object["description"] = entry.declaration.description;
    json::array uses;
    for (const SetUse& use : entry.uses)
        uses.emplace_back(use.adds ? use.by + " (add_to)" : use.by);
    object["references"] = std::move(uses);
    return object;
}

json::object element_json(const SetOptions& options, const ElementStatus& status) {
    json::object object{{"value", format(options.type, status.value)}};
    if (status.timeout)
        object["timeout"] = seconds(*status.timeout);
    if (status.expires)
        object["expires"] = seconds(*status.expires);
    if (options.counters) {
        object["packets"] = status.packets;
        object["bytes"] = status.bytes;
    }
    if (!status.comment.empty())
        object["comment"] = status.comment;
    return object;
}

// An element as a member of a JSON body: "192.0.2.1" or {"value", "timeout", "comment"}.
Expected<Element> element_from(const SetType& type, const json::value& from) {
    Element element;
    const json::string* text = from.if_string();
    if (const json::object* object = from.if_object()) {
        for (const auto& [key, value] : *object) {
            if (key == "value" && value.is_string()) {
                text = &value.get_string();
            } else if (key == "comment" && value.is_string()) {
                auto comment = check_comment(std::string_view(value.get_string()));
                if (!comment)
                    return std::unexpected(std::move(comment.error()));
                element.comment = std::move(*comment);
            } else if (key == "timeout" && value.is_number()) {
                const auto wanted = value.to_number<double>();
                if (!(wanted >= 0.001 && wanted <= seconds(kMaxTimeout)))
                    return fail("the timeout is out of bounds", "expected seconds, 0.001 to 315360000");
                element.timeout = Duration(static_cast<int64_t>(wanted * 1e9));
            } else if (key == "timeout" && value.is_string()) {
                const auto timeout = parse_timeout(std::string_view(value.get_string()));
                if (!timeout)
                    return std::unexpected(timeout.error());
                element.timeout = *timeout;
            } else {
                return fail("an element has no '" + std::string(key).substr(0, 32) + "' like this",
                            "expected a text `value`, and perhaps `timeout` and `comment`");
            }
        }
    }
    if (text == nullptr)
        return fail("this is no element", "expected a text, or an object with a text `value`");
    auto value = parse_element(type, std::string_view(*text));
    if (!value)
        return std::unexpected(std::move(value.error()));
    element.value = *value;
    return element;
}

// Elements of a request's body with what is wrong in it: a JSON list, or lines of text.
class ElementBody {
  public:
    using Sink = std::function<Expected<void>(const Element& element, uint32_t number)>;

    ElementBody(const SetType& type, const admin::Request& request)
        : type_(type), request_(request), file_(request.query_value("file").value_or("request")) {
        const size_t first = request.body.find_first_not_of(" \t\r\n");
        is_json_ = first != std::string::npos && request.body[first] == '[';
    }
    // Gives each to the sink; false if anything was wrong.
    bool read(const Sink& sink) {
        if (!is_json_) {
            for_each_line(request_.body, [&](uint32_t number, std::string_view line) {
                auto element = parse_line(type_, line);
                if (!element)
                    complain(number, element.error());
                else if (*element)
                    give(sink, **element, number);
                return problems_.size() < config::Problems::kMax;
            });
            return problems_.empty();
        }
        const auto body = request_.json();
        if (!body) {
            complain(0, body.error());
            return false;
        }
        uint32_t place = 0;
        for (const json::value& each : body->as_array()) {
            const auto element = element_from(type_, each);
            if (!element)
                complain(place, element.error());
            else
                give(sink, *element, place);
            ++place;
        }
        return problems_.empty();
    }
    // `number` is a line, or a place in the list.
    void complain(uint32_t number, const Error& error) {
        if (is_json_)
            problems_.add({{}, {}, "elements[" + std::to_string(number) + "]", error.message, error.hint});
        else
            problems_.add({file_, {number, 1}, {}, error.message, error.hint});
    }
    [[nodiscard]] admin::Response refusal(int status) const { return refused(status, problems_); }

    static admin::Response refused(int status, const config::Problems& problems) {
        json::array items;
        for (const auto& problem : problems)
            items.push_back({{"file", problem.file},
                             {"line", problem.mark.line},
                             {"column", problem.mark.column},
                             {"path", problem.path},
                             {"message", problem.message},
                             {"hint", problem.hint}});
        const std::string count = std::to_string(problems.size());
        json::object error{{"message", count + (problems.size() == 1 ? " element was" : " elements were") +
                                           " refused; the set has not changed"},
                           {"hint", "mend what is listed"},
                           {"problems", std::move(items)}};
        return admin::Response::json(json::value{{"error", std::move(error)}}, status);
    }

  private:
    void give(const Sink& sink, const Element& element, uint32_t number) {
        if (auto good = sink(element, number); !good)
            complain(number, good.error());
    }

    const SetType& type_;
    const admin::Request& request_;
    std::string file_;
    bool is_json_;
    config::Problems problems_;
};

admin::Response changed_json(const Changed& changed) {
    return admin::Response::json(json::value{
        {"added", changed.added}, {"removed", changed.removed}, {"unchanged", changed.unchanged}});
}

// What the verbs do, on the set that the path names.
class SetVerbs {
  public:
    SetVerbs(SetRegistry& registry, std::function<Instant()> now)
        : registry_(registry), now_(std::move(now)) {}

    using Handler = admin::Response (SetVerbs::*)(const admin::Request&, const SetTable::Entry&) const;
    admin::Response on_set(const admin::Request& request, Handler handler) const {
        const std::string& name = request.param("name");
        // The table is held, so that no reload takes the set away.
        const auto table = registry_.table();
        const SetTable::Entry* entry = table->entry(name);
        if (entry == nullptr)
            return no_set(name, request);
        return (this->*handler)(request, *entry);
    }

    [[nodiscard]] admin::Response list(const admin::Request& request) const {
        json::array items;
        for (const auto& [name, entry] : by_name())
            items.push_back(set_json(*entry));
        return admin::paged(request, std::move(items));
    }

    // The set's own members, then its elements piece by piece.
    [[nodiscard]] admin::Response show(const admin::Request& request, const SetTable::Entry& entry) const {
        const auto limit = request.query_number("limit", UINT64_MAX, UINT64_MAX);
        const auto offset = request.query_number("offset", 0, UINT64_MAX);
        if (!limit || !offset)
            return admin::Response::error(400, (limit ? offset : limit).error(), request.path);
        struct State {
            std::shared_ptr<Set> set;
            std::string head;
            SetCursor cursor;
            uint64_t skip;
            uint64_t left;
            bool first = true;
            bool ended = false;
        };
        auto state = std::make_shared<State>(State{entry.set, {}, {}, *offset, *limit});
        state->head = json::serialize(set_json(entry));
        state->head.back() = ',';
        state->head += "\"items\":[";
        const Instant now = now_();
        const size_t total = entry.set->element_count();
        return admin::Response::stream(admin::kJson, [state, now, total]() -> std::optional<std::string> {
            if (state->ended)
                return std::nullopt;
            std::string piece = std::exchange(state->head, {});
            const bool more =
                state->set->for_each(state->cursor, kSlice, now, [&](const ElementStatus& each) {
                    if (state->skip > 0) {
                        --state->skip;
                    } else if (state->left > 0) {
                        --state->left;
                        if (!std::exchange(state->first, false))
                            piece += ',';
                        piece += json::serialize(element_json(state->set->options(), each));
                    }
                });
            if (!more || state->left == 0) {
                state->ended = true;
                piece += "],\"total\":" + std::to_string(total) + "}\n";
            }
            return piece;
        });
    }

    [[nodiscard]] admin::Response add(const admin::Request& request, const SetTable::Entry& entry) const {
        ElementBody body(entry.set->options().type, request);
        std::vector<Element> elements;
        std::vector<uint32_t> numbers;
        if (!body.read([&](const Element& element, uint32_t number) -> Expected<void> {
                elements.push_back(element);
                numbers.push_back(number);
                return {};
            }))
            return body.refusal(422);
        size_t failed = 0;
        const auto changed = entry.set->add(elements, now_(), &failed);
        if (changed)
            return changed_json(*changed);
        body.complain(numbers[failed], changed.error());
        return body.refusal(409);
    }

    [[nodiscard]] admin::Response remove(const admin::Request& request, const SetTable::Entry& entry) const {
        ElementBody body(entry.set->options().type, request);
        std::vector<ElementValue> values;
        std::vector<uint32_t> numbers;
        if (!body.read([&](const Element& element, uint32_t number) -> Expected<void> {
                values.push_back(element.value);
                numbers.push_back(number);
                return {};
            }))
            return body.refusal(422);
        size_t failed = 0;
        const auto changed = entry.set->remove(values, now_(), &failed);
        if (changed)
            return changed_json(*changed);
        body.complain(numbers[failed], changed.error());
        return body.refusal(409);
    }

    [[nodiscard]] admin::Response test(const admin::Request& request, const SetTable::Entry& entry) const {
        const Set& set = *entry.set;
        const SetType& type = set.options().type;
        const auto text = request.query_value("element");
        if (!text)
            return admin::Response::error(400, "no element to look for", "expected ?element=", request.path);
        const auto value = parse_element(type, *text);
        if (!value)
            return admin::Response::error(400, value.error(), "element");
        // A single key is looked up as a packet's is; a network is there only as such.
        const auto found = value->low == value->high
                               ? set.covering(Fields::of_bytes(value->family, value->low.data(),
                                                               type.key_bytes(value->family)),
                                              now_())
                               : set.find(*value, now_());
        json::object answer{{"element", format(type, *value)}, {"match", found.has_value()}};
        if (found)
            answer["by"] = element_json(set.options(), *found);
        return admin::Response::json(answer);
    }

    [[nodiscard]] admin::Response flush(const admin::Request&, const SetTable::Entry& entry) const {
        const Changed changed{.removed = entry.set->element_count()};
        entry.set->flush();
        return changed_json(changed);
    }

    // With a body, or the name of an empty one, that becomes the content; without, what the configuration
    // declares, read anew.
    [[nodiscard]] admin::Response load(const admin::Request& request, const SetTable::Entry& entry) const {
        if (request.body.empty() && !request.query_value("file")) {
            config::Problems problems;
            const auto changed = registry_.reload(entry.declaration.name, now_(), problems);
            return changed ? changed_json(*changed) : ElementBody::refused(422, problems);
        }
        const Instant now = now_();
        ElementBody body(entry.set->options().type, request);
        const LineCount lines = count_lines(request.body);
        BodyBuilder builder = entry.set->builder({lines.ip4, lines.ip6});
        bool good = body.read(
            [&](const Element& element, uint32_t number) { return builder.add(element, number, now); });
        const SetType& type = entry.set->options().type;
        for (const auto& conflict : builder.finish()) {
            body.complain(conflict.origin, {"'" + format(type, conflict.value) + "' overlaps '" +
                                                format(type, conflict.other_value) + "'",
                                            "elements may lie inside one another, but not overlap in part"});
            good = false;
        }
        if (!good)
            return body.refusal(422);
        const Changed changed{
            .added = builder.added(), .removed = entry.set->element_count(), .unchanged = builder.merged()};
        entry.set->load(builder);
        return changed_json(changed);
    }

    [[nodiscard]] admin::Response swap(const admin::Request& request, const SetTable::Entry& entry) const {
        const auto with = request.query_value("with");
        if (!with)
            return admin::Response::error(400, "no set to swap with", "expected ?with=NAME", request.path);
        Set* other = registry_.find(*with);
        if (other == nullptr)
            return no_set(*with, request);
        if (const auto done = entry.set->swap(*other); !done)
            return admin::Response::error(409, done.error(), request.path);
        return admin::Response::json(
            json::value{{"name", entry.set->name()}, {"with", other->name()}, {"swapped", true}});
    }

  private:
    [[nodiscard]] std::map<std::string_view, const SetTable::Entry*> by_name() const {
        std::map<std::string_view, const SetTable::Entry*> result;
        for (const SetTable::Entry& entry : registry_.table()->entries())
            if (entry.set)
                result.emplace(entry.declaration.name, &entry);
        return result;
    }
    [[nodiscard]] admin::Response no_set(const std::string& name, const admin::Request& request) const {
        std::string known;
        for (const auto& [each, entry] : by_name())
            known += (known.empty() ? "" : ", ") + std::string(each);
        return admin::Response::error(404, "there is no set '" + name.substr(0, 64) + "'",
                                      known.empty() ? "no sets are declared" : "there are " + known,
                                      request.path);
    }

    SetRegistry& registry_;
    std::function<Instant()> now_;
};

}  // namespace

void add_verbs(admin::Verbs& verbs, SetRegistry& registry, std::function<Instant()> now) {
    const auto sets = std::make_shared<SetVerbs>(registry, std::move(now));
    using Check = Expected<void> (*)(const admin::Request&);
    const auto on = [&](const char* method, const char* path, const char* help, Check check,
                        SetVerbs::Handler handler) {
        verbs.add(method, path, help, [sets, check, handler](const admin::Request& request) {
            if (const auto known = check(request); !known)
                return admin::Response::error(400, known.error(), request.path);
            return sets->on_set(request, handler);
        });
    };
    constexpr Check kNoQuery = [](const admin::Request& request) { return request.only({}); };
    constexpr Check kFile = [](const admin::Request& request) { return request.only({"file"}); };
    constexpr Check kPage = [](const admin::Request& request) { return request.only({"limit", "offset"}); };
    constexpr Check kElement = [](const admin::Request& request) { return request.only({"element"}); };
    constexpr Check kWith = [](const admin::Request& request) { return request.only({"with"}); };
    verbs.add("GET", "/v1/sets", "sets, how full they are and what refers to them",
              [sets](const admin::Request& request) { return sets->list(request); });
    on("GET", "/v1/sets/{name}", "a set and its elements; ?limit= and ?offset=", kPage, &SetVerbs::show);
    on("POST", "/v1/sets/{name}/elements", "adds the elements of the body, all or none: a JSON list or lines",
       kFile, &SetVerbs::add);
    on("DELETE", "/v1/sets/{name}/elements", "removes the elements of the body, all or none", kFile,
       &SetVerbs::remove);
    on("GET", "/v1/sets/{name}/test", "whether ?element= is in the set, and by which element", kElement,
       &SetVerbs::test);
    on("POST", "/v1/sets/{name}/flush", "removes all elements", kNoQuery, &SetVerbs::flush);
    on("POST", "/v1/sets/{name}/load",
       "the body, or else what the configuration declares, takes the place of the content at once", kFile,
       &SetVerbs::load);
    on("POST", "/v1/sets/{name}/swap", "exchanges the contents with those of the set ?with=", kWith,
       &SetVerbs::swap);
}

}  // namespace sluice::sets
