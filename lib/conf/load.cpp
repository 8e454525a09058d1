// The top of a config file: [daemon], [store], [socket.NAME], [worker.NAME], and the decision
// whether the whole can be used.
#include "conf/load.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "conf/channel_keys.hpp"
#include "conf/document.hpp"
#include "conf/keys.hpp"
#include "conf/report.hpp"
#include "conf/requirements.hpp"
#include "conf/socket.hpp"
#include "conf/store_keys.hpp"
#include "conf/worker.hpp"

namespace cluster::conf {
namespace {

/// The whole file in the making.
struct ConfigDraft {
    core::Config config;
    FileContext file;
    const LoadContext* context = nullptr;
    std::optional<Field> workers;  // looked at again when the stores are known
};

/// More instances than a daemon may have.
constexpr std::int64_t kMaxParallelStarts = 8192;

constexpr Choice<std::string_view> kLogLevels[] = {
    {"trace", "trace"}, {"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}};

constexpr Keys<ConfigDraft, 3> kDaemonKeys{{
    {"log_dir",
     [](ConfigDraft& draft, const Field& field) {
         if (const auto path = read_path(field, draft.file, "a directory")) {
             draft.config.daemon.log_dir = *path;
         }
     }},
    {"log_level",
     [](ConfigDraft& draft, const Field& field) {
         if (const std::optional<std::string_view> level = read_choice(field, kLogLevels)) {
             draft.config.daemon.log_level = *level;
         }
     }},
    {"parallel_starts",
     [](ConfigDraft& draft, const Field& field) {
         if (const auto count = read_integer(field, 0, kMaxParallelStarts)) {
             draft.config.daemon.parallel_starts = static_cast<std::uint32_t>(*count);
         }
     }},
}};

void read_daemon(ConfigDraft& draft, const Field& field) {
    if (require_table(field, "[daemon]")) read_table(field, kDaemonKeys, draft);
}

void read_workers(ConfigDraft& draft, const Field& field) {
    if (!require_table(field, "[worker.NAME]")) return;
    for (const Member& member : field.value().members) {
        draft.config.workers.push_back(read_worker(field.inner(member), draft.file));
    }
    // In an incomplete text, a worker may have been lost to a syntax error.
    const auto& known = draft.context->known_workers;
    if (draft.file.is_complete && known) check_known(draft.config.workers, field, *known);
    check_cycles(draft.config.workers, field);
    draft.workers = field;
}

/// Before anything else: workers name them, wherever they stand.
void read_all_sockets(ConfigDraft& draft, const Field& top) {
    for (const Member& member : top.value().members) {
        if (member.key != "socket") continue;
        draft.file.sockets = read_socket_tables(top.inner(member), draft.file.directory);
    }
}

/// When the workers were read.
void check_sockets(const ConfigDraft& draft, const Field& top) {
    if (!draft.file.is_complete || !top.report().is_empty()) return;
    for (const Member& member : top.value().members) {
        if (member.key == "socket") check_used(top.inner(member), draft.config.workers);
    }
}

void read_store(ConfigDraft& draft, const Field& field) {
    draft.config.stores = read_stores(field, draft.file.source, draft.context->minimum_store_size);
}

void read_channels(ConfigDraft& draft, const Field& field) {
    draft.config.channel = read_channel(field);
}

constexpr Keys<ConfigDraft, 5> kTopKeys{{{"daemon", read_daemon},
                                         {"store", read_store},
                                         {"channel", read_channels},
                                         {"socket", [](ConfigDraft&, const Field&) {}},
                                         {"worker", read_workers}}};

bool contains(const std::vector<std::string_view>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// Keys that were written above the first table, or after nothing that they could belong to.
std::string hint_for_top_level(std::string_view key) {
    if (key == "listen") return "; it belongs below [socket.NAME]";
    if (contains(worker_key_names(), key)) return "; keys of a worker stand below [worker.NAME]";
    if (contains(names_of(kDaemonKeys), key)) return "; it belongs below [daemon]";
    if (contains(store_key_names(), key)) return "; it belongs below [store]";
    return "";
}

FileContext make_file_context(const LoadContext& context, bool is_complete) {
    std::error_code ignored;  // only a relative path asks for the working directory
    std::filesystem::path source = std::filesystem::absolute(context.path, ignored);
    if (source.empty()) source = context.path;
    source = source.lexically_normal();
    const std::string directory = source.parent_path().string();
    return {source.string(), directory.empty() ? "/" : directory, context.base_path, is_complete};
}

}  // namespace

LoadResult load(std::string_view text, const LoadContext& context) {
    if (text.size() > kMaxTextSize) {
        return tl::make_unexpected(std::vector<Diagnostic>{
            {context.path,
             1,
             1,
             "the file has " + std::to_string(text.size()) + " bytes; at most " +
                 std::to_string(kMaxTextSize) + " (1 MiB) are read",
             {}}});
    }
    Report report(text, context.path);
    return load(text, context, report);
}

LoadResult load(std::string_view text, const LoadContext& context, Report& report) {
    const Document document = parse_document(text, report);

    ConfigDraft draft;
    draft.file = make_file_context(context, document.is_complete);
    draft.context = &context;
    const Member top{"", {}, document.root};
    const Field field(top, "", report);
    read_all_sockets(draft, field);
    read_table(field, kTopKeys, draft, hint_for_top_level);
    if (draft.workers && document.is_complete && context.known_stores) {
        check_stores(draft.config.workers, *draft.workers, draft.config.stores,
                     *context.known_stores);
    }
    check_sockets(draft, field);
    if (draft.config.workers.empty() && document.is_complete && report.is_empty()) {
        report.add({}, "nothing to run: there is no [worker.NAME] table");
    }
    if (!report.is_empty()) return tl::make_unexpected(report.take_sorted());
    return std::move(draft.config);
}

}  // namespace cluster::conf
