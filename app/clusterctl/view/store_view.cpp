#include "clusterctl/view/store_view.hpp"

#include <fmt/format.h>

#include "clusterctl/view/format.hpp"
#include "clusterctl/view/table.hpp"
#include "clusterctl/view/text.hpp"
#include "json/text.hpp"
#include "store/utf8.hpp"

namespace cluster::clusterctl {
namespace {

using json::Json;

Json bytes_field(std::string_view bytes) {
    if (store::is_utf8(bytes)) return bytes;
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        hex += kDigits[byte >> 4U];
        hex += kDigits[byte & 15U];
    }
    return Json{{"hex", std::move(hex)}};
}

const char* kind_name(store::CounterKind kind) {
    return kind == store::CounterKind::striped ? "striped" : "atomic";
}

const char* huge_pages_text(core::HugePages pages) {
    switch (pages) {
        case core::HugePages::used:
            return "";
        case core::HugePages::all:
            return ", huge pages wanted for all";
        case core::HugePages::none:
            return ", no huge pages";
    }
    return "";
}

}  // namespace

std::string store_keys_table(const std::vector<StoreKey>& keys, const ViewOptions& view) {
    constexpr std::size_t kPreview = 60;
    const std::vector<Column> columns = {{.title = "key"},
                                         {.title = "size", .is_right_aligned = true},
                                         {.title = "expires in", .is_right_aligned = true},
                                         {.title = "value", .expendable = 1, .least_width = 8}};
    std::vector<std::vector<Cell>> rows;
    for (const StoreKey& key : keys) {
        const std::string expires = key.ttl_ms ? format_duration(*key.ttl_ms) : "-";
        rows.push_back({{one_line(key.key)},
                        {format_bytes(key.size)},
                        {expires},
                        {cut_to_width(one_line(key.value), kPreview)}});
    }
    return render_table(columns, rows, view.width, view.has_colour);
}

std::string store_keys_document(std::string_view store, const std::vector<StoreKey>& keys,
                                bool has_more) {
    Json list = Json::array();
    for (const StoreKey& key : keys) {
        list.push_back(
            Json{{"key", bytes_field(key.key)}, {"size_bytes", key.size}, {"ttl_ms", key.ttl_ms}});
    }
    return dump_pretty(Json{{"store", store}, {"keys", std::move(list)}, {"more", has_more}});
}

std::string store_value_document(std::string_view store, const StoreKey& key) {
    return dump_pretty(Json{{"store", store},
                            {"key", bytes_field(key.key)},
                            {"value", bytes_field(key.value)},
                            {"size_bytes", key.size},
                            {"ttl_ms", key.ttl_ms}});
}

std::string store_number_document(std::string_view store, std::string_view key,
                                  std::int64_t number) {
    return dump_pretty(Json{{"store", store}, {"key", bytes_field(key)}, {"value", number}});
}

std::string store_deleted_document(std::string_view store, const std::vector<std::string>& deleted,
                                   const std::vector<std::string>& missing) {
    const auto list_of = [](const std::vector<std::string>& keys) {
        Json list = Json::array();
        for (const std::string& key : keys) list.push_back(bytes_field(key));
        return list;
    };
    return dump_pretty(
        Json{{"store", store}, {"deleted", list_of(deleted)}, {"missing", list_of(missing)}});
}

std::string counters_table(const std::vector<store::CounterItem>& counters,
                           const ViewOptions& view) {
    const std::vector<Column> columns = {
        {.title = "counter"}, {.title = "kind"}, {.title = "value", .is_right_aligned = true}};
    std::vector<std::vector<Cell>> rows;
    for (const store::CounterItem& counter : counters) {
        rows.push_back({{one_line(counter.name_view())},
                        {kind_name(counter.kind)},
                        {std::to_string(counter.value)}});
    }
    return render_table(columns, rows, view.width, view.has_colour);
}

std::string counters_document(std::string_view store,
                              const std::vector<store::CounterItem>& counters) {
    Json list = Json::array();
    for (const store::CounterItem& counter : counters) {
        list.push_back(Json{{"name", bytes_field(counter.name_view())},
                            {"kind", kind_name(counter.kind)},
                            {"value", counter.value}});
    }
    return dump_pretty(Json{{"store", store}, {"counters", std::move(list)}});
}

std::string statistics_text(const StoreStatistics& statistics) {
    const core::StoreSpec& spec = statistics.status.spec;
    const store::Census& census = statistics.census;
    std::string text = fmt::format("store {}: {}, {} of it in memory{}\n", spec.name,
                                   format_bytes(spec.size), format_bytes(statistics.memory_bytes),
                                   huge_pages_text(spec.huge_pages));
    text += fmt::format("keys          {}, {} of keys and values\n", census.keys,
                        format_bytes(census.bytes));
    text += fmt::format("counters      {} of {}\n", census.counters, spec.counters);
    text += fmt::format("participants  {} of {}\n", census.participants, spec.participants);
    text +=
        fmt::format("free chunks   {} of {}, 1 MiB each\n", census.free_chunks, statistics.chunks);
    text += fmt::format("after deaths  {} participants settled, {} blocks given back\n",
                        census.settled_participants, census.settled_blocks);
    std::vector<std::vector<Cell>> rows;
    for (const store::ClassCensus& each : census.classes) {
        if (each.chunks == 0) continue;
        rows.push_back({{format_bytes(each.block_bytes)},
                        {std::to_string(each.chunks)},
                        {std::to_string(each.used_blocks)},
                        {std::to_string(each.free_blocks)}});
    }
    text += "\n" + render_table({{.title = "blocks of", .is_right_aligned = true},
                                 {.title = "chunks", .is_right_aligned = true},
                                 {.title = "used", .is_right_aligned = true},
                                 {.title = "free", .is_right_aligned = true}},
                                rows, 0, false);
    if (statistics.others.empty()) return text;
    text += "\nother stores:";
    for (const std::string& name : statistics.others) text += " " + name;
    return text + " (choose one with --store NAME)\n";
}

std::string statistics_document(const StoreStatistics& statistics) {
    const core::StoreSpec& spec = statistics.status.spec;
    const store::Census& census = statistics.census;
    Json classes = Json::array();
    for (const store::ClassCensus& each : census.classes) {
        if (each.chunks == 0) continue;
        classes.push_back(Json{{"block_bytes", each.block_bytes},
                               {"chunks", each.chunks},
                               {"used_blocks", each.used_blocks},
                               {"free_blocks", each.free_blocks}});
    }
    const auto& generation = statistics.status.generation;
    return dump_pretty(Json{
        {"store", spec.name},
        {"size_bytes", spec.size},
        {"memory_bytes", statistics.memory_bytes},
        {"huge_pages", core::name_of(spec.huge_pages)},
        {"inode", statistics.status.inode.value_or(0)},
        {"generation", generation ? Json(std::to_string(*generation)) : Json()},
        {"keys", census.keys},
        {"bytes", census.bytes},
        {"counters", Json{{"used", census.counters}, {"total", spec.counters}}},
        {"participants", Json{{"used", census.participants}, {"total", spec.participants}}},
        {"chunks", Json{{"free", census.free_chunks}, {"total", statistics.chunks}}},
        {"settled",
         Json{{"participants", census.settled_participants}, {"blocks", census.settled_blocks}}},
        {"classes", std::move(classes)},
        {"others", statistics.others}});
}

}  // namespace cluster::clusterctl
