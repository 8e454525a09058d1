// log = { … }: how what a worker writes is kept.
#include "conf/keys.hpp"
#include "conf/values.hpp"
#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

using core::LogSpec;

struct LogDraft {
    LogSpec* log;
    std::optional<Field> max_total_size;
};

/// Bounds: low … high, both included.
std::optional<std::uint64_t> read_size(const Field& field, std::uint64_t low, std::uint64_t high,
                                       std::string_view expected) {
    if (!field.is(Node::Kind::string)) {
        field.refuse_type(expected);
        return std::nullopt;
    }
    const tl::expected<std::uint64_t, std::string> size = parse_size(field.value().text);
    if (!size) {
        field.refuse(size.error());
        return std::nullopt;
    }
    if (*size < low || *size > high) {
        field.refuse_type(expected);
        return std::nullopt;
    }
    return *size;
}

void read_bound(const Field& field, std::uint64_t& bound) {
    if (field.is(Node::Kind::string) && field.value().text == "unlimited") {
        bound = LogSpec::kUnlimited;
        return;
    }
    constexpr std::string_view kExpected = "a size from \"4KiB\" on, or \"unlimited\"";
    const auto size = read_size(field, LogSpec::kMinSize, LogSpec::kUnlimited - 1, kExpected);
    bound = size.value_or(bound);
}

void set_flag(const Field& field, bool& flag) {
    flag = read_flag(field).value_or(flag);
}

constexpr Keys<LogDraft, 7> kLogKeys{{
    {"max_size",
     [](LogDraft& draft, const Field& field) { read_bound(field, draft.log->max_size); }},
    {"keep",
     [](LogDraft& draft, const Field& field) {
         const std::optional<std::int64_t> keep = read_integer(field, 0, LogSpec::kMaxKeep);
         if (keep) draft.log->keep = static_cast<std::uint32_t>(*keep);
     }},
    {"max_total_size",
     [](LogDraft& draft, const Field& field) {
         draft.max_total_size = field;
         read_bound(field, draft.log->max_total_size);
     }},
    {"compress", [](LogDraft& draft, const Field& field) { set_flag(field, draft.log->compress); }},
    {"timestamp",
     [](LogDraft& draft, const Field& field) { set_flag(field, draft.log->timestamp); }},
    {"merge", [](LogDraft& draft, const Field& field) { set_flag(field, draft.log->merge); }},
    {"max_line",
     [](LogDraft& draft, const Field& field) {
         constexpr std::string_view kExpected = "a size from \"1KiB\" to \"1MiB\"";
         const auto size = read_size(field, LogSpec::kMinLine, LogSpec::kMaxLine, kExpected);
         draft.log->max_line = size.value_or(draft.log->max_line);
     }},
}};

}  // namespace

void read_log(WorkerDraft& draft, const Field& field) {
    if (!require_table(field, "log = { max_size = \"50MiB\", keep = 10 }")) return;
    LogDraft parts{&draft.spec.log, std::nullopt};
    read_table(field, kLogKeys, parts);
    const LogSpec& log = draft.spec.log;
    if (!parts.max_total_size || log.max_size == LogSpec::kUnlimited) return;
    if (log.max_total_size < log.max_size) {
        parts.max_total_size->refuse("is less than max_size: not even the log itself would fit");
    }
}

}  // namespace cluster::conf
