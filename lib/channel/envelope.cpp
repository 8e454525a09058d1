#include "channel/envelope.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "channel/record.hpp"

namespace cluster::channel {
namespace {

constexpr std::int64_t kMaxTimeMs = std::int64_t{24} * 3600 * 1000;
constexpr std::int64_t kMaxTtlMs = std::int64_t{100} * 365 * 24 * 3600 * 1000;

bool has_control_character(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7F'; });
}

/// The fields of one command. The first one that is wrong is remembered.
class Fields {
public:
    explicit Fields(const Json& json) : json_(json) {}

    [[nodiscard]] std::string_view wrong() const { return wrong_; }

    [[nodiscard]] MessageId id() {
        const JsonValue* value = json_.find("id");
        if (value == nullptr) return {};
        const bool is_id = value->type == JsonType::number || value->is_string();
        if (is_id && value->text.size() <= kMaxId) return value->text;
        note("\"id\" has to be a number or a string of at most 62 bytes");
        return {};
    }
    [[nodiscard]] std::string text(const char* name, std::size_t max, const char* complaint) {
        const JsonValue* value = json_.find(name);
        std::optional<std::string> result = value == nullptr ? std::nullopt : string_of(*value);
        if (!result || result->empty() || result->size() > max) note(complaint);
        return result.value_or("");
    }
    [[nodiscard]] JsonValue value(const char* name) const {
        const JsonValue* value = json_.find(name);
        return value == nullptr ? JsonValue{JsonType::null, "null"} : *value;
    }
    [[nodiscard]] bool flag(const char* name, const char* complaint) {
        const JsonValue* value = json_.find(name);
        if (value == nullptr) return false;
        if (value->type != JsonType::boolean) note(complaint);
        return value->text == "true";
    }
    [[nodiscard]] std::optional<std::int64_t> integer(const char* name, std::int64_t min,
                                                      std::int64_t max, const char* complaint) {
        const JsonValue* value = json_.find(name);
        if (value == nullptr) return std::nullopt;
        const auto number = integer_of(*value);
        if (!number || *number < min || *number > max) note(complaint);
        return number;
    }
    [[nodiscard]] bool has(const char* name) const { return json_.find(name) != nullptr; }
    void note(std::string_view complaint) {
        if (wrong_.empty()) wrong_ = complaint;
    }

private:
    const Json& json_;
    std::string_view wrong_;
};

Incoming checked(const Fields& fields, MessageId id, Incoming incoming) {
    if (fields.wrong().empty()) return incoming;
    return in::Invalid{id, fields.wrong()};
}

Incoming parse_send(const Json& json) {
    Fields fields{json};
    in::Send send;
    send.id = fields.id();
    send.to = fields.text("to", kMaxSelector, "\"to\" has to be a selector");
    send.data = fields.value("data");
    send.is_raw = fields.flag("raw", "\"raw\" has to be true or false");
    const MessageId id = send.id;
    return checked(fields, id, std::move(send));
}

Incoming parse_request(const Json& json) {
    Fields fields{json};
    in::Request request;
    request.id = fields.id();
    if (request.id.empty()) fields.note("a request has to have an \"id\"");
    request.to = fields.text("to", kMaxSelector, "\"to\" has to be a selector");
    request.data = fields.value("data");
    if (const auto ms = fields.integer("timeout_ms", 1, kMaxTimeMs,
                                       "\"timeout_ms\" has to be from 1 to 86400000")) {
        request.timeout = std::chrono::milliseconds{*ms};
    }
    const MessageId id = request.id;
    return checked(fields, id, std::move(request));
}

Incoming parse_reply(const Json& json) {
    constexpr std::int64_t kMaxSafe = (std::int64_t{1} << 53U) - 1;
    Fields fields{json};
    in::Reply reply;
    const auto id =
        fields.integer("id", 0, kMaxSafe, "the \"id\" of a reply has to be that of the request");
    if (!id) fields.note("a reply has to have the \"id\" of the request");
    reply.id = static_cast<std::uint64_t>(id.value_or(0));
    reply.data = fields.value("data");
    if (fields.has("error")) {
        reply.error = fields.text("error", kMaxErrorText, "\"error\" has to be a short text");
    }
    return checked(fields, {}, std::move(reply));
}

Incoming parse_publish(const Json& json) {
    Fields fields{json};
    in::Publish publish;
    publish.id = fields.id();
    publish.topic = fields.text("topic", kMaxTopic, "\"topic\" has to be a text of 1 to 126 bytes");
    publish.data = fields.value("data");
    publish.is_raw = fields.flag("raw", "\"raw\" has to be true or false");
    if (!is_valid_topic(publish.topic)) fields.note("\"topic\" has control characters");
    if (is_reserved_topic(publish.topic)) fields.note("topics of \"cluster.\" are the daemon's");
    const MessageId id = publish.id;
    return checked(fields, id, std::move(publish));
}

Incoming parse_subscribe(const Json& json, bool is_on) {
    Fields fields{json};
    in::Subscribe subscribe;
    subscribe.id = fields.id();
    subscribe.topic =
        fields.text("topic", kMaxTopic, "\"topic\" has to be a text of 1 to 126 bytes");
    subscribe.is_on = is_on;
    if (!is_valid_topic(subscribe.topic)) fields.note("\"topic\" has control characters");
    const MessageId id = subscribe.id;
    return checked(fields, id, std::move(subscribe));
}

/// What is no string is stored as the JSON text that it is.
std::string stored_text(const JsonValue& value) {
    if (auto text = string_of(value)) return std::move(*text);
    return std::string{value.text};
}

Incoming parse_store(const Json& json, in::Store::Verb verb) {
    using Verb = in::Store::Verb;
    // As the store has it; it says so itself of names and values that it does not take.
    constexpr std::size_t kMaxKey = 1024;
    Fields fields{json};
    in::Store store;
    store.verb = verb;
    store.id = fields.id();
    store.key = fields.text("key", kMaxKey, "\"key\" has to be a text of 1 to 1024 bytes");
    if (verb == Verb::set || verb == Verb::cas) {
        if (!fields.has("value")) fields.note("\"value\" is missing");
        store.value = stored_text(fields.value("value"));
        const auto ttl = fields.integer("ttl_ms", 1, kMaxTtlMs, "\"ttl_ms\" has to be above 0");
        store.ttl = std::chrono::milliseconds{ttl.value_or(0)};
    }
    if (verb == Verb::cas && fields.value("token").type != JsonType::null) {
        const std::string token = fields.text("token", 20, "\"token\" has to be that of a get");
        std::uint64_t number = 0;
        const auto [last, error] =
            std::from_chars(token.data(), token.data() + token.size(), number);
        const bool is_whole = error == std::errc{} && last == token.data() + token.size();
        if (!is_whole || number == 0) fields.note("\"token\" has to be that of a get");
        store.token = number;
    }
    if (verb == Verb::incr || verb == Verb::counter) {
        store.by =
            fields.integer("by", INT64_MIN, INT64_MAX, "\"by\" has to be a whole number of 64 bits")
                .value_or(1);
    }
    const MessageId id = store.id;
    return checked(fields, id, std::move(store));
}

Incoming parse_status(const Json& json) {
    Fields fields{json};
    const JsonValue value = fields.value("text");
    in::Status status;
    if (auto text = string_of(value)) {
        status.text = std::move(*text);
    } else {
        fields.note("\"text\" has to be a string");
    }
    return checked(fields, {}, std::move(status));
}

Incoming parse_command(const Json& json, const JsonValue& name) {
    using Verb = in::Store::Verb;
    constexpr std::pair<std::string_view, Verb> kStoreVerbs[] = {
        {"get", Verb::get}, {"set", Verb::set},   {"del", Verb::del},
        {"cas", Verb::cas}, {"incr", Verb::incr}, {"counter", Verb::counter}};
    if (!name.is_string()) return in::Invalid{{}, "\"cluster\" has to be the name of a command"};
    const std::string_view command = name.text.substr(1, name.text.size() - 2);
    if (command == "ready") return in::Ready{};
    if (command == "heartbeat") return in::Heartbeat{};
    if (command == "status") return parse_status(json);
    if (command == "send") return parse_send(json);
    if (command == "request") return parse_request(json);
    if (command == "reply") return parse_reply(json);
    if (command == "publish") return parse_publish(json);
    if (command == "subscribe") return parse_subscribe(json, true);
    if (command == "unsubscribe") return parse_subscribe(json, false);
    for (const auto& [word, verb] : kStoreVerbs) {
        if (command == word) return parse_store(json, verb);
    }
    Fields fields{json};
    return in::Invalid{fields.id(), "no such command"};
}

Incoming parse_internal(const Json& json, std::string_view command) {
    const auto key = [&json] {
        const JsonValue* value = json.find("key");
        return value == nullptr ? JsonValue{JsonType::null, "null"} : *value;
    };
    if (command == "NODE_HANDLE") {
        const JsonValue* message = json.find("msg");
        return in::Handle{message == nullptr ? std::nullopt : std::optional{*message}};
    }
    if (command == "NODE_SOCKET_GET_COUNT") return in::SocketCount{key()};
    if (command == "NODE_SOCKET_NOTIFY_CLOSE") return in::SocketClose{key()};
    return in::Internal{};
}

std::string start_of(std::string_view command) {
    std::string line = "{\"cluster\":\"";
    line += command;
    line += '"';
    return line;
}

void append_text(std::string& line, std::string_view name, std::string_view text) {
    line += ",\"";
    line += name;
    line += "\":";
    append_string(line, text);
}

/// White space is allowed between the words of a value, and a newline would end the line.
void append_on_one_line(std::string& line, std::string_view json) {
    const std::size_t begin = line.size();
    line += json;
    if (json.find('\n') == std::string_view::npos) return;
    std::replace(line.begin() + static_cast<std::ptrdiff_t>(begin), line.end(), '\n', ' ');
}

void append_json(std::string& line, std::string_view name, std::string_view json) {
    line += ",\"";
    line += name;
    line += "\":";
    append_on_one_line(line, json);
}

}  // namespace

bool is_valid_topic(std::string_view topic) {
    return !topic.empty() && topic.size() <= kMaxTopic && !has_control_character(topic);
}

bool is_reserved_topic(std::string_view topic) {
    return topic.substr(0, 8) == "cluster.";
}

bool is_application(Json& json, std::string_view text) {
    const auto incoming = parse_line(json, text);
    return incoming && (std::holds_alternative<in::Application>(*incoming) ||
                        json.root().type != JsonType::object);
}

std::optional<Incoming> parse_line(Json& json, std::string_view line) {
    constexpr std::string_view kInternal = "NODE_";
    if (!json.parse(line)) return std::nullopt;
    const JsonValue& root = json.root();
    if (root.text == "\"ready\"") return in::Ready{};
    if (root.type != JsonType::object) return in::Application{root};
    if (const JsonValue* name = json.find("cluster")) return parse_command(json, *name);
    if (const JsonValue* cmd = json.find("cmd"); cmd != nullptr && cmd->is_string()) {
        const std::string_view command = cmd->text.substr(1, cmd->text.size() - 2);
        if (command.size() > kInternal.size() && command.substr(0, kInternal.size()) == kInternal) {
            return parse_internal(json, command);
        }
    }
    return in::Application{root};
}

std::string message_line(const Origin& origin, std::string_view data) {
    std::string line = start_of("message");
    if (!origin.topic.empty()) append_text(line, "topic", origin.topic);
    if (!origin.from.empty()) append_text(line, "from", origin.from);
    append_json(line, "data", data);
    line += "}\n";
    return line;
}

std::string raw_line(std::string_view data) {
    std::string line;
    line.reserve(data.size() + 1);
    append_on_one_line(line, data);
    line += '\n';
    return line;
}

std::string request_line(std::uint64_t id, std::string_view from, std::string_view data) {
    std::string line = start_of("request");
    line += ",\"id\":";
    line += std::to_string(id);
    if (!from.empty()) append_text(line, "from", from);
    append_json(line, "data", data);
    line += "}\n";
    return line;
}

std::string reply_line(MessageId id, std::initializer_list<ReplyMember> members) {
    std::string line = start_of("reply");
    append_json(line, "id", id);
    for (const ReplyMember& member : members) append_json(line, member.name, member.json);
    line += "}\n";
    return line;
}

std::string error_line(MessageId id, std::string_view text) {
    std::string line = start_of("reply");
    append_json(line, "id", id);
    append_text(line, "error", text);
    line += "}\n";
    return line;
}

std::string broadcast_line(std::string_view type, std::string_view value) {
    std::string line = "{\"type\":";
    append_string(line, type);
    append_json(line, "value", value);
    line += "}\n";
    return line;
}

std::string stopping_line(std::int64_t grace_ms) {
    return start_of("stopping") + ",\"grace_ms\":" + std::to_string(grace_ms) + "}\n";
}

std::string shutdown_line() {
    return "\"shutdown\"\n";
}

std::string handle_ack_line() {
    return "{\"cmd\":\"NODE_HANDLE_ACK\"}\n";
}

std::string socket_count_line(const JsonValue& key) {
    std::string line = "{\"cmd\":\"NODE_SOCKET_COUNT\"";
    append_json(line, "key", key.text);
    return line + ",\"count\":0}\n";
}

std::string sockets_closed_line(const JsonValue& key) {
    std::string line = "{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\"";
    append_json(line, "key", key.text);
    return line + "}\n";
}

}  // namespace cluster::channel
