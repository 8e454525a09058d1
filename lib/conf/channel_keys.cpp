#include "conf/channel_keys.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include "conf/keys.hpp"
#include "conf/values.hpp"
#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

using core::ChannelRule;
using core::ChannelSpec;

constexpr std::size_t kMaxRules = 256;
constexpr std::size_t kMaxTopicBytes = 126;

struct ChannelDraft {
    ChannelSpec spec;
    std::optional<Field> max_queue;
};

void read_size_in(const Field& field, std::uint64_t low, std::uint64_t high,
                  std::uint64_t& target) {
    const std::string expected =
        "a size from \"" + format_size(low) + "\" to \"" + format_size(high) + "\"";
    if (!field.is(Node::Kind::string)) return field.refuse_type(expected);
    const tl::expected<std::uint64_t, std::string> size = parse_size(field.value().text);
    if (!size) return field.refuse(size.error());
    if (*size < low || *size > high) return field.refuse_type(expected);
    target = *size;
}

void read_string(const Field& field, std::string_view expected, std::string& target) {
    target = read_text(field, expected).value_or("");
}

constexpr std::string_view kKeyExpected = "a key of the store";
constexpr std::string_view kFieldExpected = "the name of a field of the message";

void read_match(ChannelRule& rule, const Field& field) {
    if (!require_table(field, "match = { type = \"updateCounter\" }")) return;
    for (const Member& member : field.value().members) {
        const Node& value = member.value;
        if (value.kind == Node::Kind::string) {
            rule.match[member.key] = value.text;
        } else if (value.kind == Node::Kind::integer) {
            rule.match[member.key] = value.integer;
        } else if (value.kind == Node::Kind::real) {
            rule.match[member.key] = value.real;
        } else if (value.kind == Node::Kind::boolean) {
            rule.match[member.key] = value.boolean;
        } else {
            field.inner(member).refuse_type("a text, a number, true or false");
        }
    }
}

void read_rule_topic(ChannelRule& rule, const Field& field) {
    constexpr std::string_view kExpected = "a topic of 1 to 126 bytes, not of \"cluster.\"";
    read_string(field, kExpected, rule.publish);
    const bool is_reserved = rule.publish.rfind("cluster.", 0) == 0;
    if (rule.publish.size() > kMaxTopicBytes || is_reserved) field.refuse_type(kExpected);
}

constexpr Keys<ChannelRule, 9> kRuleKeys{{
    {"match", read_match},
    {"incr",
     [](ChannelRule& rule, const Field& field) { read_string(field, kKeyExpected, rule.incr); }},
    {"by",
     [](ChannelRule& rule, const Field& field) { read_string(field, kFieldExpected, rule.by); }},
    {"set",
     [](ChannelRule& rule, const Field& field) { read_string(field, kKeyExpected, rule.set); }},
    {"value",
     [](ChannelRule& rule, const Field& field) { read_string(field, kFieldExpected, rule.value); }},
    {"publish", read_rule_topic},
    {"forward",
     [](ChannelRule& rule, const Field& field) {
         read_string(field, "a selector such as \"api\", \"api.0\", \"@site\" or \"all\"",
                     rule.forward);
     }},
    {"log",
     [](ChannelRule& rule, const Field& field) { rule.log = read_flag(field).value_or(false); }},
    {"broadcast",
     [](ChannelRule& rule, const Field& field) {
         read_string(field, "the type of the message to all workers", rule.broadcast);
     }},
}};

bool has_key(const Field& table, std::string_view key) {
    const auto& members = table.value().members;
    return std::any_of(members.begin(), members.end(),
                       [&](const Member& member) { return member.key == key; });
}

void check_rule(const Field& field, const ChannelRule& rule) {
    const int actions = (rule.incr.empty() ? 0 : 1) + (rule.set.empty() ? 0 : 1) +
                        (rule.publish.empty() ? 0 : 1) + (rule.forward.empty() ? 0 : 1) +
                        (rule.log ? 1 : 0);
    if (actions != 1) {
        field.refuse("expected exactly one of incr, set, publish, forward and log = true; got " +
                     std::to_string(actions));
    }
    if (!has_key(field, "match")) {
        field.refuse("has no match; match = {} takes every message");
    }
    if (!rule.by.empty() && rule.incr.empty()) field.refuse("by belongs to incr");
    if (has_key(field, "value") && rule.set.empty()) field.refuse("value belongs to set");
    if (!rule.broadcast.empty() && rule.incr.empty() && rule.set.empty()) {
        field.refuse("broadcast belongs to incr and set");
    }
}

void read_rules(ChannelDraft& draft, const Field& field) {
    if (!field.is(Node::Kind::array)) return field.refuse_type("[[channel.rule]] tables");
    if (field.value().items.size() > kMaxRules) {
        return field.refuse("has more than " + std::to_string(kMaxRules) + " rules");
    }
    for (const Node& item : field.value().items) {
        const Member member{field.key(), item.at, item};
        const Field one(member, field.path(), field.report());
        if (!require_table(one, "[[channel.rule]]")) continue;
        ChannelRule rule;
        read_table(one, kRuleKeys, rule);
        check_rule(one, rule);
        draft.spec.rules.push_back(std::move(rule));
    }
}

constexpr Choice<core::SlowReader> kSlowReaders[] = {{"drop-oldest", core::SlowReader::drop_oldest},
                                                     {"disconnect", core::SlowReader::disconnect}};

constexpr Keys<ChannelDraft, 5> kChannelKeys{{
    {"max_line",
     [](ChannelDraft& draft, const Field& field) {
         read_size_in(field, ChannelSpec::kMinLine, ChannelSpec::kMaxLine, draft.spec.max_line);
     }},
    {"max_queue",
     [](ChannelDraft& draft, const Field& field) {
         draft.max_queue = field;
         read_size_in(field, ChannelSpec::kMinLine, ChannelSpec::kMaxQueue, draft.spec.max_queue);
     }},
    {"slow_reader",
     [](ChannelDraft& draft, const Field& field) {
         draft.spec.slow_reader = read_choice(field, kSlowReaders).value_or(draft.spec.slow_reader);
     }},
    {"request_timeout",
     [](ChannelDraft& draft, const Field& field) {
         draft.spec.request_timeout = read_duration(field, std::chrono::milliseconds{1})
                                          .value_or(draft.spec.request_timeout);
     }},
    {"rule", read_rules},
}};

}  // namespace

core::ChannelSpec read_channel(const Field& field) {
    ChannelDraft draft;
    if (!require_table(field, "[channel]")) return draft.spec;
    read_table(field, kChannelKeys, draft);
    const std::uint64_t least = 2 * draft.spec.max_line;
    if (draft.max_queue && draft.spec.max_queue < least) {
        draft.max_queue->refuse("is less than twice max_line: \"" + format_size(least) +
                                "\" or more");
    } else if (draft.spec.max_queue < least) {
        draft.spec.max_queue = least;
    }
    return draft.spec;
}

void read_channel_mode(WorkerDraft& draft, const Field& field) {
    constexpr Choice<core::ChannelMode> kModes[] = {{"auto", core::ChannelMode::automatic},
                                                    {"node", core::ChannelMode::node},
                                                    {"json", core::ChannelMode::json}};
    draft.channel = field;
    core::ChannelMode& mode = draft.spec.launch.channel;
    if (field.is(Node::Kind::boolean) && !field.value().boolean) {
        mode = core::ChannelMode::off;
    } else if (field.is(Node::Kind::string)) {
        mode = read_choice(field, kModes).value_or(mode);
    } else {
        field.refuse_type("\"auto\", \"node\", \"json\" or false");
    }
}

void finish_channel(WorkerDraft& draft) {
    if (draft.spec.launch.channel != core::ChannelMode::off) return;
    if (draft.spec.policy.ready.kind == core::Readiness::Kind::channel) {
        draft.channel->refuse("is off, but ready = \"channel\" waits for a word over it");
    }
    if (draft.spec.stop_message) {
        draft.channel->refuse("is off, but stop_message = true stops over it");
    }
}

void read_stop_message(WorkerDraft& draft, const Field& field) {
    draft.spec.stop_message = read_flag(field).value_or(draft.spec.stop_message);
}

}  // namespace cluster::conf
