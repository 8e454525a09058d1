#include "ctl/event_json.hpp"

#include <algorithm>

#include "ctl/field_reader.hpp"

namespace cluster::ctl {
namespace {

Event::Field make_field(const std::string& name, const Json& value) {
    Event::Field field{name, {}, {}};
    const bool is_text_list =
        value.is_array() && std::all_of(value.elements().begin(), value.elements().end(),
                                        [](const Json& element) { return element.is_string(); });
    if (const std::string* const text = value.text()) {
        field.value = *text;
    } else if (is_text_list) {
        for (const Json& element : value.elements()) {
            field.list.push_back(*element.text());
            field.value += (field.value.empty() ? "" : " ") + field.list.back();
        }
    } else {
        field.value = dump_line(value);
    }
    return field;
}

}  // namespace

std::string Event::text(std::string_view name) const {
    for (const Field& field : fields) {
        if (field.name == name) return field.value;
    }
    return {};
}

std::vector<std::string> Event::list(std::string_view name) const {
    for (const Field& field : fields) {
        if (field.name == name) return field.list;
    }
    return {};
}

std::optional<Event> parse_event(std::string_view line) {
    try {
        const Json document = parse_bounded(line, ParseBounds{});
        FieldReader fields(document, "event", UnknownFields::ignore);
        Event event;
        event.sequence = fields.counter("seq");
        event.at_ms = fields.integer("at_ms", 0, std::numeric_limits<std::int64_t>::max());
        event.type = fields.text("type");
        for (const auto& [name, value] : document.fields()) {
            const bool is_head = name == "seq" || name == "at_ms" || name == "type";
            if (!is_head) event.fields.push_back(make_field(name, value));
        }
        return event;
    } catch (const std::exception&) {
        return std::nullopt;
    }
}

}  // namespace cluster::ctl
