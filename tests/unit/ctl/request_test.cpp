#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "ctl/protocol.hpp"

using cluster::ctl::ErrorCode;
using cluster::ctl::kMaxLineBytes;
using cluster::ctl::parse_request;
using cluster::ctl::render_error;
using cluster::ctl::render_request;
using cluster::ctl::Request;
using cluster::ctl::RequestId;
using cluster::ctl::RpcError;
namespace request = cluster::ctl::request;

namespace {

std::string call(const std::string& method, const std::string& params) {
    return R"({"jsonrpc":"2.0","id":7,"method":")" + method + R"(","params":)" + params + "}";
}

RpcError refusal(const std::string& line) {
    const auto parsed = parse_request(line);
    REQUIRE_FALSE(parsed.has_value());
    return parsed.error().error;
}

template <class T>
T accept(const std::string& line) {
    const auto parsed = parse_request(line);
    if (!parsed) FAIL(parsed.error().error.message);
    REQUIRE(std::holds_alternative<T>(parsed->method));
    return std::get<T>(parsed->method);
}

/// Renders, parses, and gives the parsed request back.
template <class T>
T round_trip(const T& request) {
    const std::string line = render_request(Request{RequestId{"1"}, request});
    REQUIRE(line.back() == '\n');
    REQUIRE(line.find('\n') == line.size() - 1);
    return accept<T>(line.substr(0, line.size() - 1));
}

}  // namespace

TEST_CASE("ctl/request: every method comes back as it was rendered") {
    (void)round_trip(request::Version{});
    (void)round_trip(request::Shutdown{});
    CHECK(round_trip(request::Upgrade{"/usr/bin/clusterd"}).program == "/usr/bin/clusterd");
    CHECK(round_trip(request::Status{{}}).selectors.empty());
    CHECK(round_trip(request::Status{{}, {"pid", "state"}}).fields ==
          std::vector<std::string>{"pid", "state"});
    CHECK(round_trip(request::Status{{"api", "@site"}}).selectors ==
          std::vector<std::string>{"api", "@site"});
    CHECK(round_trip(request::Start{{"api.0"}}).selectors == std::vector<std::string>{"api.0"});
    CHECK(round_trip(request::Stop{{"all"}}).selectors == std::vector<std::string>{"all"});
    CHECK(round_trip(request::Restart{{"w*"}}).selectors == std::vector<std::string>{"w*"});
    CHECK(round_trip(request::Delete{{"api"}}).selectors == std::vector<std::string>{"api"});
    CHECK(round_trip(request::Reset{{"api"}}).selectors == std::vector<std::string>{"api"});
    CHECK(round_trip(request::Describe{{"a.0"}}).selectors == std::vector<std::string>{"a.0"});
    const auto signal = round_trip(request::Signal{12, {"@site"}});
    CHECK(signal.signal == 12);
    CHECK(signal.selectors == std::vector<std::string>{"@site"});
    const auto apply = round_trip(request::Apply{"/a.toml", "text", "/bin", true});
    CHECK(apply.path == "/a.toml");
    CHECK(apply.dry_run);
    CHECK_FALSE(round_trip(request::Apply{"/a.toml", "text", "/bin", false}).dry_run);

    const auto load =
        round_trip(request::Load{"/etc/\xff/a b.toml", "[worker.a]\n# \"é\"\n", "/bin"});
    CHECK(load.path == "/etc/\xff/a b.toml");
    CHECK(load.text == "[worker.a]\n# \"é\"\n");
    CHECK(load.base_path == "/bin");
    CHECK_FALSE(load.after_restore);
    CHECK(round_trip(request::Load{"/a.toml", "", "/bin", true}).after_restore);

    CHECK(round_trip(request::Scale{"api", 4, {}}).instances == 4U);
    CHECK(round_trip(request::Scale{"api", {}, -2}).delta == -2);
    const auto wait = round_trip(request::Wait{std::numeric_limits<std::uint64_t>::max(), 60000});
    CHECK(wait.operation == std::numeric_limits<std::uint64_t>::max());
    CHECK(wait.timeout_ms == 60000);

    cluster::core::WorkerSpec spec;
    spec.name = "api";
    spec.launch.command = {"./srv", "\xff"};
    spec.launch.cwd = "/srv";
    CHECK(round_trip(request::Add{spec}).spec == spec);
}

TEST_CASE("ctl/request: the id is echoed as it came") {
    for (const std::string id : {"1", "-5", R"("x\"y")", "null", "18446744073709551615"}) {
        const auto parsed =
            parse_request(R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":"daemon.version"})");
        REQUIRE(parsed.has_value());
        CHECK(parsed->id.json == id);
    }
    for (const std::string id : {"1.5", "[]", "{}", "true"}) {
        const auto error =
            refusal(R"({"jsonrpc":"2.0","id":)" + id + R"(,"method":"daemon.version"})");
        CHECK(error.code == ErrorCode::invalid_request);
    }
    CHECK(refusal(R"({"jsonrpc":"2.0","method":"daemon.version"})").message ==
          "id: is missing (notifications are not served)");
    CHECK(refusal(R"({"jsonrpc":"2.0","id":")" + std::string(300, 'x') +
                  R"(","method":"daemon.version"})")
              .message == "id: longer than 256 bytes");
}

TEST_CASE("ctl/request: a refusal carries the id that could still be read") {
    const auto parsed = parse_request(call("workers.stop", R"({"selector":["a"]})"));
    REQUIRE_FALSE(parsed.has_value());
    CHECK(parsed.error().id.json == "7");
    CHECK(parsed.error().error.code == ErrorCode::invalid_params);
    const auto garbage = parse_request("{");
    REQUIRE_FALSE(garbage.has_value());
    CHECK(garbage.error().id.json == "null");
    CHECK(garbage.error().error.code == ErrorCode::parse_error);
}

TEST_CASE("ctl/request: an unknown method is answered with the nearest one") {
    const auto error = refusal(call("worker.status", "{}"));
    CHECK(error.code == ErrorCode::method_not_found);
    CHECK(error.message == R"(no method "worker.status"; did you mean "workers.status"?)");
    CHECK(refusal(call("xyz", "{}")).message == R"(no method "xyz")");
}

TEST_CASE("ctl/request: what is wrong with the fields is said by name") {
    struct Case {
        const char* method;
        const char* params;
        const char* message;
    };
    const Case cases[] = {
        {"workers.stop", "{}", "params.selectors: is missing"},
        {"workers.stop", "[]", "params: expected an object, got array"},
        {"workers.stop", "null", "params: expected an object, got null"},
        {"workers.stop", R"({"selectors":"all"})",
         "params.selectors: expected an array, got string"},
        {"workers.stop", R"({"selectors":["a",3]})",
         "params.selectors[1]: expected a string, got number"},
        {"workers.stop", R"({"selectors":[]})",
         R"(params.selectors: is empty; ["all"] means all workers)"},
        {"workers.stop", R"({"selectors":["a\u0000b"]})",
         "params.selectors[0]: expected a selector of 1 to 256 bytes"},
        {"workers.stop", R"({"selectors":["a"],"forse":true})", "params.forse: unknown field"},
        {"workers.status", R"({"selector":["a"]})",
         R"(params.selector: unknown field; did you mean "selectors"?)"},
        {"workers.status", R"({"fields":["pid","rss"]})",
         R"(params.fields[1]: a worker's row has no field "rss")"},
        {"workers.status", R"({"fields":["rss_byte"]})",
         R"(params.fields[0]: a worker's row has no field "rss_byte"; did you mean "rss_bytes"?)"},
        {"workers.status", R"({"fields":"pid"})", "params.fields: expected an array, got string"},
        {"daemon.shutdown", R"({"now":true})", "params.now: unknown field"},
        {"workers.signal", R"({"signal":0,"selectors":["a"]})",
         "params.signal: 0 is not between 1 and 64"},
        {"workers.apply", R"({"path":"a","text":"","base_path":""})",
         "params.path: expected an absolute path"},
        {"workers.describe", R"({"selectors":[]})",
         R"(params.selectors: is empty; ["all"] means all workers)"},
        {"workers.scale", R"({"name":"api"})",
         R"(params: expected exactly one of "instances" and "delta")"},
        {"workers.scale", R"({"name":"api","instances":1,"delta":1})",
         R"(params: expected exactly one of "instances" and "delta")"},
        {"workers.scale", R"({"name":"api","instances":-1})",
         "params.instances: -1 is not between 0 and 4096"},
        {"workers.scale", R"({"name":"api","instances":18446744073709551615})",
         "params.instances: 18446744073709551615 is not between 0 and 4096"},
        {"workers.scale", R"({"name":"api","instances":1.5})",
         "params.instances: expected an integer, got number"},
        {"workers.scale", R"({"name":"a b","instances":1})",
         R"(params.name: "a b" is not a worker's name)"},
        {"operation.wait", R"({"operation":1,"timeout_ms":60001})",
         "params.timeout_ms: 60001 is not between 0 and 60000"},
        {"operation.wait", R"({"operation":-1})",
         "params.operation: -1 is not between 0 and 18446744073709551615"},
        {"workers.load", R"({"path":"a.toml","text":"","base_path":""})",
         "params.path: expected an absolute path"},
        {"workers.load", R"({"path":"/a\u0000","text":"","base_path":""})",
         "params.path: contains a NUL byte"},
        {"workers.load", R"({"path":{"hex":"2fF"},"text":"","base_path":""})",
         "params.path.hex: an odd number of hex digits"},
        {"workers.load", R"({"path":{"hex":"zz"},"text":"","base_path":""})",
         "params.path.hex: expected lower-case hex digits"},
        {"workers.add", R"({"spec":{}})", "params.spec.name: is missing"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.params);
        const RpcError error = refusal(call(c.method, c.params));
        CHECK(error.code == ErrorCode::invalid_params);
        CHECK(error.message == c.message);
    }
}

TEST_CASE("ctl/request: what is no request at all is refused") {
    struct Case {
        std::string line;
        ErrorCode code;
        const char* message;
    };
    const Case cases[] = {
        {"", ErrorCode::parse_error, "not JSON: mistake at byte 1"},
        {"hello", ErrorCode::parse_error, "not JSON: mistake at byte 1"},
        {call("daemon.version", "{}") + "x", ErrorCode::parse_error,
         "not JSON: mistake at byte 63"},
        {R"({"jsonrpc":"2.0","id":1,"method":"\uD800"})", ErrorCode::parse_error,
         "not JSON: mistake at byte 41"},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"x\"}", ErrorCode::parse_error,
         "not JSON: mistake at byte 24"},
        {"{\"id\":1e999}", ErrorCode::parse_error, "not JSON: a number is out of range"},
        {R"({"id":1,"id":2})", ErrorCode::parse_error, R"(field "id" stands twice in one object)"},
        {"[" + call("daemon.version", "{}") + "]", ErrorCode::invalid_request,
         "batches are not served: one object a line"},
        {"42", ErrorCode::invalid_request, "expected one object a line"},
        {R"({"id":1,"method":"daemon.version"})", ErrorCode::invalid_request,
         "jsonrpc: is missing"},
        {R"({"jsonrpc":"1.0","id":1,"method":"daemon.version"})", ErrorCode::invalid_request,
         R"(jsonrpc: expected "2.0")"},
        {R"({"jsonrpc":"2.0","id":1,"method":5})", ErrorCode::invalid_request,
         "method: expected a string, got number"},
        {R"({"jsonrpc":"2.0","id":1,"method":"daemon.version","param":{}})",
         ErrorCode::invalid_request, R"(param: unknown field; did you mean "params"?)"},
        {R"({"jsonrpc":"2.0","id":1,"method":"daemon.version","id":1})", ErrorCode::parse_error,
         R"(field "id" stands twice in one object)"},
        {std::string(kMaxLineBytes + 1, ' '), ErrorCode::invalid_request,
         "longer than 4194304 bytes"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.line.substr(0, 80));
        const RpcError error = refusal(c.line);
        CHECK(error.code == c.code);
        CHECK(error.message == c.message);
    }
}

TEST_CASE("ctl/request: nesting, values and keys are bounded before they cost anything") {
    const std::size_t deep = kMaxLineBytes / 2;
    CHECK(refusal(std::string(deep, '[') + std::string(deep, ']')).message ==
          "nested more than 32 deep");
    CHECK(refusal(call("workers.stop", std::string(33, '[') + std::string(33, ']'))).message ==
          "nested more than 32 deep");

    std::string many = "[0";
    for (int i = 0; i < 70000; ++i) many += ",0";
    CHECK(refusal(call("workers.stop", many + "]")).message == "more than 65536 values");

    std::string keys = "{\"k\":0";
    for (int i = 0; i < 300; ++i) keys += ",\"k" + std::to_string(i) + "\":0";
    CHECK(refusal(call("workers.stop", keys + "}")).message ==
          "more than 256 fields in one object");
}

TEST_CASE("ctl/request: a stranger's long name is cut in the answer") {
    const std::string name(100'000, 'x');
    CHECK(refusal(call(name, "{}")).message.size() < 200);
    CHECK(refusal(call("workers.stop", "{\"" + name + "\":1}")).message.size() < 200);
    CHECK(refusal("{\"" + name + "\":1,\"" + name + "\":1}").message.size() < 200);
}

TEST_CASE("ctl/request: no prefix and no single changed byte of a good line does harm") {
    const std::string good = call("workers.scale", R"({"name":"api","instances":3})");
    for (std::size_t length = 0; length < good.size(); ++length) {
        CHECK_FALSE(parse_request(good.substr(0, length)).has_value());
    }
    for (std::size_t at = 0; at < good.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string bad = good;
            bad[at] = static_cast<char>(byte);
            const auto parsed = parse_request(bad);
            if (!parsed) {
                const std::string answer = render_error(parsed.error().id, parsed.error().error);
                CHECK(answer.find('\n') == answer.size() - 1);
            }
        }
    }
}
