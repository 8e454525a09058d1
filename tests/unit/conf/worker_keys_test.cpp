#include "conf/worker.hpp"

#include <csignal>

#include "conf/cpus.hpp"
#include "loading.hpp"

namespace cluster::conf {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Words = std::vector<std::string>;

TEST_CASE("conf/worker: a command alone gives every default") {
    core::WorkerSpec expected;
    expected.name = "w";
    expected.source = "/srv/site/clusterd.toml";
    expected.launch.command = {"srv"};
    expected.launch.cwd = "/srv/site";
    expected.launch.base_path = "/usr/bin:/bin";
    CHECK(load_line("") == expected);
}

TEST_CASE("conf/worker: command is an array, a line of words, or a text for the shell") {
    CHECK(load_worker("[worker.w]\ncommand = ['a', '', 'b c']").launch.command ==
          Words{"a", "", "b c"});
    CHECK(load_worker("[worker.w]\ncommand = \"node 'my server.js' $X\"").launch.command ==
          Words{"node", "my server.js", "$X"});
    CHECK(load_worker("[worker.w]\nshell = false\ncommand = \"a b\"").launch.command ==
          Words{"a", "b"});
    CHECK(load_worker("[worker.w]\ncommand = \"echo $X | wc\"\nshell = true").launch.command ==
          Words{"/bin/sh", "-c", "echo $X | wc"});
}

TEST_CASE("conf/worker: instances, autostart, group") {
    CHECK(load_line("instances = 1").instances == 1);
    CHECK(load_line("instances = 4096").instances == 4096);
    CHECK(load_line("instances = \"max\"").instances == usable_cpus());
    CHECK_FALSE(load_line("autostart = false").autostart);
    CHECK(load_line("group = \"site\"").group == "site");
}

TEST_CASE("conf/worker: cwd is relative to the file and comes out absolute and plain") {
    CHECK(load_line("cwd = \".\"").launch.cwd == "/srv/site");
    CHECK(load_line("cwd = \"app/\"").launch.cwd == "/srv/site/app");
    CHECK(load_line("cwd = \"./a/../b\"").launch.cwd == "/srv/site/b");
    CHECK(load_line("cwd = \"../..\"").launch.cwd == "/");
    CHECK(load_line("cwd = \"/\"").launch.cwd == "/");
    CHECK(load_line("cwd = \"/var//www/\"").launch.cwd == "/var/www");
}

TEST_CASE("conf/worker: env takes texts, integers and booleans as their text") {
    const auto env = load_line("env = { A = \"x y\", B = 8000, C = true, _d1 = \"\" }").launch.env;
    CHECK(env == std::map<std::string, std::string>{
                     {"A", "x y"}, {"B", "8000"}, {"C", "true"}, {"_d1", ""}});
    CHECK(load_line("[worker.w.env]\nPORT = -1").launch.env.at("PORT") == "-1");
}

TEST_CASE("conf/worker: env_file is a file, a table or several of them, and stdin is a file") {
    using Files = std::vector<core::EnvFile>;
    CHECK(load_line("env_file = \".env\"").launch.env_files == Files{{"/srv/site/.env", false}});
    CHECK(load_line("env_file = { path = \"/a\", interpolate = false }").launch.env_files ==
          Files{{"/a", true}});
    CHECK(load_line("env_file = [\"a\", { path = \"b\" }]").launch.env_files ==
          Files{{"/srv/site/a", false}, {"/srv/site/b", false}});
    CHECK(load_line("stdin = \"in/x\"").launch.standard_input == "/srv/site/in/x");
    CHECK(mistake_of(with_line("env_file = 5")) ==
          "3:12 worker.w.env_file: expected a file such as \".env\", or { path = \".env\", "
          "interpolate = false }; got 5");
    CHECK(mistake_of(with_line("env_file = [\"a\", { interpolate = true }]")) ==
          "3:18 worker.w.env_file: has no path; expected { path = \".env\" }");
    CHECK(mistake_of(with_line("stdin = \"~/x\"")) ==
          "3:9 worker.w.stdin: ~ is not expanded; write the path in full, got \"~/x\"");
}

TEST_CASE("conf/worker: user, umask, nice") {
    CHECK(load_line("user = \"www-data\"").launch.user == "www-data");
    CHECK(load_line("user = \"www-data\"").launch.group.empty());
    CHECK(load_line("user = \"web:site\"").launch.user == "web");
    CHECK(load_line("user = \"web:site\"").launch.group == "site");
    CHECK(load_line("user = \"1000:1000\"").launch.user == "1000");
    CHECK(load_line("umask = \"022\"").launch.umask == 022);
    CHECK(load_line("umask = \"0\"").launch.umask == 0);
    CHECK(load_line("umask = \"0777\"").launch.umask == 0777);
    CHECK(load_line("nice = -20").launch.nice == -20);
    CHECK(load_line("nice = 19").launch.nice == 19);
}

TEST_CASE("conf/worker: limits take numbers, sizes, unlimited, and pairs") {
    const auto limits = load_line(
                            "limits = { nofile = 65536, core = \"0\", as = \"1GiB\", "
                            "nproc = \"unlimited\", stack = { soft = \"8MiB\", hard = "
                            "\"unlimited\" } }")
                            .launch.limits;
    constexpr std::uint64_t kUnlimited = core::ResourceLimit::kUnlimited;
    CHECK(limits == std::vector<core::ResourceLimit>{{"nofile", 65536, 65536},
                                                     {"core", 0, 0},
                                                     {"as", 1U << 30U, 1U << 30U},
                                                     {"nproc", kUnlimited, kUnlimited},
                                                     {"stack", 8U << 20U, kUnlimited}});
    for (const std::string name :
         {"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile",
          "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"}) {
        CHECK(load_line("limits." + name + " = 5").launch.limits.at(0) ==
              core::ResourceLimit{name, 5, 5});
    }
}

TEST_CASE("conf/worker: restart, backoff, restart_limit") {
    CHECK(load_line("restart = \"always\"").policy.restart == core::RestartPolicy::always);
    CHECK(load_line("restart = \"on-failure\"").policy.restart == core::RestartPolicy::on_failure);
    CHECK(load_line("restart = \"never\"").policy.restart == core::RestartPolicy::never);
    CHECK(load_line("backoff = { initial = \"1s\", factor = 3, max = \"5m\", jitter = 0, "
                    "reset_after = \"1h\" }")
              .policy.backoff == core::Backoff{seconds{1}, 3.0, minutes{5}, 0.0, hours{1}});
    CHECK(load_line("backoff = { max = \"2m\" }").policy.backoff ==
          core::Backoff{milliseconds{100}, 2.0, minutes{2}, 0.1, seconds{30}});
    CHECK(load_line("backoff = { initial = \"2s\", max = \"2s\" }").policy.backoff.max ==
          seconds{2});
    CHECK(load_line("restart_limit = { count = 32, window = \"10s\", then = \"fatal\" }")
              .policy.restart_limit ==
          core::RestartLimit{32, seconds{10}, core::RestartLimit::Then::fatal});
    CHECK(load_line("restart_limit.then = \"slow\"").policy.restart_limit == core::RestartLimit{});
}

TEST_CASE("conf/worker: exit codes, stopping, readiness") {
    const auto codes = load_line("success_exit_codes = [0, 75, 255]").policy.success_exit_codes;
    CHECK(codes.count() == 3);
    CHECK(codes[0]);
    CHECK(codes[75]);
    CHECK(codes[255]);
    CHECK(load_line("success_exit_codes = []").policy.success_exit_codes.none());
    CHECK(load_line("stop_signal = \"SIGINT\"").policy.stop_signal == SIGINT);
    CHECK(load_line("stop_signal = \"QUIT\"").policy.stop_signal == SIGQUIT);
    CHECK(load_line("stop_signal = \"2\"").policy.stop_signal == SIGINT);
    CHECK(load_line("stop_signal = 2").policy.stop_signal == SIGINT);
    CHECK(load_line("stop_timeout = \"0s\"").policy.stop_timeout == seconds{0});
    CHECK(load_line("stop_timeout = \"1m\"").policy.stop_timeout == minutes{1});
    CHECK(load_line("min_uptime = \"0s\"").policy.min_uptime == seconds{0});
    CHECK(load_line("start_timeout = \"1.5s\"").policy.start_timeout == milliseconds{1500});
    CHECK(load_line("ready = \"exec\"") == load_line(""));
}

struct BadLine {
    std::string line;
    std::string_view mistake;  // with the position on line 3
};

/// Each stands on line 3.
const BadLine kBadLines[] = {
    {"shell = 1", "3:9 worker.w.shell: expected true or false, without quotes; got 1"},
    {"shell = true",
     "2:11 worker.w.command: with shell = true, expected one string for /bin/sh -c; got an "
     "array"},
    {"instances = 0",
     "3:13 worker.w.instances: expected an integer from 1 to 4096, or \"max\" (autostart = "
     "false keeps a worker down); got 0"},
    {"instances = 4097",
     "3:13 worker.w.instances: expected an integer from 1 to 4096, or \"max\"; got 4097"},
    {"instances = 1.5",
     "3:13 worker.w.instances: expected an integer from 1 to 4096, or \"max\"; got 1.5"},
    {"instances = \"min\"",
     "3:13 worker.w.instances: expected an integer from 1 to 4096, or \"max\"; got \"min\""},
    {"cwd = 3", "3:7 worker.w.cwd: expected a directory; got 3"},
    {"cwd = \"\"", "3:7 worker.w.cwd: is empty; expected a directory"},
    {"cwd = \"a\\u0000b\"", "3:7 worker.w.cwd: \"a\\x00b\" has a NUL byte"},
    {"cwd = \"~/x\"", "3:7 worker.w.cwd: ~ is not expanded; write the path in full, got \"~/x\""},
    {"env = \"A=1\"",
     "3:7 worker.w.env: expected a table, as in env = { PORT = \"8000\" }; got \"A=1\""},
    {"env = { A = 1.5 }",
     "3:13 worker.w.env.A: expected a string, an integer, true or false; got 1.5"},
    {"env.A.B = 1",
     "3:5 worker.w.env.A: expected a string, an integer, true or false; got a "
     "table"},
    {"env = { 1A = \"\" }",
     "3:9 worker.w.env.1A: \"1A\" is not a name of an environment variable; expected letters, "
     "digits and '_', not starting with a digit"},
    {"env = { \"A B\" = \"\" }",
     "3:9 worker.w.env.\"A B\": \"A B\" is not a name of an environment variable; expected "
     "letters, digits and '_', not starting with a digit"},
    {"env = { A = \"\\u0000\" }", "3:13 worker.w.env.A: \"\\x00\" has a NUL byte"},
    {"env = { LISTEN_FDS = 3 }", "3:9 worker.w.env.LISTEN_FDS: the daemon sets LISTEN_FDS itself"},
    {"user = \"\"", "3:8 worker.w.user: is empty; expected \"user\" or \"user:group\""},
    {"user = \"a:\"", "3:8 worker.w.user: expected \"user\" or \"user:group\"; got \"a:\""},
    {"user = \":g\"", "3:8 worker.w.user: expected \"user\" or \"user:group\"; got \":g\""},
    {"user = \"a:b:c\"", "3:8 worker.w.user: expected \"user\" or \"user:group\"; got \"a:b:c\""},
    {"user = 1000", "3:8 worker.w.user: expected \"user\" or \"user:group\"; got 1000"},
    {"umask = 18",
     "3:9 worker.w.umask: expected an octal number in quotes, \"0\" to \"0777\", such as "
     "\"022\"; got 18"},
    {"umask = \"1000\"",
     "3:9 worker.w.umask: expected an octal number in quotes, \"0\" to \"0777\", such as "
     "\"022\"; got \"1000\""},
    {"umask = \"08\"",
     "3:9 worker.w.umask: expected an octal number in quotes, \"0\" to \"0777\", such as "
     "\"022\"; got \"08\""},
    {"umask = \"\"",
     "3:9 worker.w.umask: expected an octal number in quotes, \"0\" to \"0777\", such as "
     "\"022\"; got \"\""},
    {"nice = 20", "3:8 worker.w.nice: expected an integer from -20 to 19; got 20"},
    {"nice = \"5\"", "3:8 worker.w.nice: expected an integer from -20 to 19; got \"5\""},
    {"limits = 3",
     "3:10 worker.w.limits: expected a table, as in limits = { nofile = 65536 }; got 3"},
    {"limits = { nofiles = 3 }",
     "3:12 unknown key \"nofiles\" in [worker.w.limits] (did you mean \"nofile\"?)"},
    {"limits = { nofile = -1 }",
     "3:21 worker.w.limits.nofile: expected a number from 0, \"unlimited\", or { soft = …, "
     "hard = … }; got -1"},
    {"limits = { nofile = \"1KiB\" }",
     "3:21 worker.w.limits.nofile: expected a number from 0, \"unlimited\", or { soft = …, "
     "hard = … }; got \"1KiB\""},
    {"limits = { core = \"1M\" }",
     "3:19 worker.w.limits.core: \"1M\" has the unknown unit \"M\"; units are B, KB, MB, GB, "
     "TB (powers of 1000), KiB, MiB, GiB, TiB (powers of 1024); or \"unlimited\""},
    {"limits = { core = { soft = 1 } }",
     "3:12 worker.w.limits.core: needs both soft and hard; hard is missing"},
    {"limits = { core = { soft = 2, hard = 1 } }", "3:12 worker.w.limits.core: soft is above hard"},
    {"limits = { core = { soft = \"unlimited\", hard = 1 } }",
     "3:12 worker.w.limits.core: soft is above hard"},
    {"autostart = \"yes\"",
     "3:13 worker.w.autostart: expected true or false, without quotes; got \"yes\""},
    {"restart = \"allways\"",
     "3:11 worker.w.restart: expected \"always\", \"on-failure\" or \"never\"; got "
     "\"allways\" (did you mean \"always\"?)"},
    {"restart = true",
     "3:11 worker.w.restart: expected \"always\", \"on-failure\" or \"never\"; got true"},
    {"backoff = \"1s\"",
     "3:11 worker.w.backoff: expected a table, as in backoff = { initial = \"100ms\", max = "
     "\"30s\" }; got \"1s\""},
    {"backoff = { initial = 100 }",
     "3:23 worker.w.backoff.initial: 100 has no unit: write \"100s\", or another of us, ms, "
     "s, m, h, d"},
    {"backoff = { initial = \"0s\", max = \"0s\" }",
     "3:35 worker.w.backoff.max: expected a duration from \"1ms\" to \"365d\"; got \"0s\""},
    {"backoff = { factor = 0.5 }",
     "3:22 worker.w.backoff.factor: expected a number from 1 to 100; got 0.5"},
    {"backoff = { factor = nan }",
     "3:22 worker.w.backoff.factor: expected a number from 1 to 100; got nan"},
    {"backoff = { jitter = 1.1 }",
     "3:22 worker.w.backoff.jitter: expected a number from 0 to 1; got 1.1"},
    {"backoff = { initial = \"5s\", max = \"1s\" }",
     "3:35 worker.w.backoff.max: \"1s\" is shorter than initial, \"5s\""},
    {"backoff = { initial = \"5m\" }",
     "3:23 worker.w.backoff.initial: \"5m\" is longer than max, by default \"30s\""},
    {"backoff = { maximum = \"1s\" }", "3:13 unknown key \"maximum\" in [worker.w.backoff]"},
    {"restart_limit = 5",
     "3:17 worker.w.restart_limit: expected a table, as in restart_limit = { count = 10, "
     "window = \"1m\", then = \"slow\" }; got 5"},
    {"restart_limit = { count = 33 }",
     "3:27 worker.w.restart_limit.count: expected an integer from 1 to 32; got 33"},
    {"restart_limit = { window = \"0s\" }",
     "3:28 worker.w.restart_limit.window: expected a duration from \"1ms\" to \"365d\"; got "
     "\"0s\""},
    {"restart_limit = { then = \"stop\" }",
     "3:26 worker.w.restart_limit.then: expected \"slow\" or \"fatal\"; got \"stop\""},
    {"success_exit_codes = 0",
     "3:22 worker.w.success_exit_codes: expected an array of exit codes such as [0, 75]; got "
     "0"},
    {"success_exit_codes = [0, 256]",
     "3:26 worker.w.success_exit_codes: expected exit codes from 0 to 255; got 256"},
    {"success_exit_codes = [\"0\"]",
     "3:23 worker.w.success_exit_codes: expected exit codes from 0 to 255; got \"0\""},
    {"stop_signal = \"SIGTREM\"",
     "3:15 worker.w.stop_signal: \"SIGTREM\" is not a signal (did you mean \"SIGTERM\"?); "
     "expected a name such as \"SIGTERM\" or a number"},
    {"stop_signal = \"SIGSTOP\"",
     "3:15 worker.w.stop_signal: SIGSTOP cannot end a process: it would stand still until "
     "stop_timeout"},
    {"stop_signal = []",
     "3:15 worker.w.stop_signal: expected a signal such as \"SIGTERM\"; "
     "got an array"},
    {"stop_timeout = 10",
     "3:16 worker.w.stop_timeout: 10 has no unit: write \"10s\", or another of us, ms, s, m, "
     "h, d"},
    {"stop_timeout = \"10\"",
     "3:16 worker.w.stop_timeout: \"10\" has no unit: write \"10s\", or another of us, ms, s, "
     "m, h, d"},
    {"stop_timeout = \"400d\"",
     "3:16 worker.w.stop_timeout: expected a duration from \"0s\" to \"365d\"; got \"400d\""},
    {"stop_timeout = 10:00:00",
     "3:16 worker.w.stop_timeout: expected a duration such as \"10s\"; got 10:00:00"},
    {"ready = \"listen\"",
     "3:9 worker.w.ready: \"listen\" belongs to node_cluster = true; for other programs see { tcp = "
     "… }"},
    {"ready = \"listening\"",
     "3:9 worker.w.ready: expected \"exec\", \"notify\", \"channel\" or \"listen\"; got "
     "\"listening\" (did you mean \"listen\"?)"},
    {"ready = { period = \"1s\" }",
     "3:1 worker.w.ready: has no probe; expected { http = \"http://127.0.0.1:8000/\" }, { tcp = … "
     "}, { unix = … }, { command = … } or { notification_fd = 3 }"},
    {"ready = 5",
     "3:9 worker.w.ready: expected \"exec\", \"notify\", \"channel\", \"listen\", or a table such as { "
     "http = \"http://127.0.0.1:8000/\" }, { tcp = … }, { unix = … }, { command = … } or { "
     "notification_fd = 3 }; got 5"},
    {"ready = { http = \"https://127.0.0.1/\" }",
     "3:18 worker.w.ready.http: https is not spoken; ask by http, or by { command = [\"curl\", …] }"},
    {"ready = { http = \"127.0.0.1:8000\" }",
     "3:18 worker.w.ready.http: expected a URL such as \"http://127.0.0.1:8000/health\", with a "
     "numeric address or localhost; got \"127.0.0.1:8000\""},
    {"ready = { http = \"http://web/\" }",
     "3:18 worker.w.ready.http: expected a URL such as \"http://127.0.0.1:8000/health\", with a "
     "numeric address or localhost; got \"http://web/\""},
    {"ready = { http = \"http://127.0.0.1/a b\" }",
     "3:18 worker.w.ready.http: expected a URL such as \"http://127.0.0.1:8000/health\", with a "
     "numeric address or localhost; got \"http://127.0.0.1/a b\""},
    {"ready = { http = \"http://127.0.0.1/#a\" }",
     "3:18 worker.w.ready.http: expected a URL such as \"http://127.0.0.1:8000/health\", with a "
     "numeric address or localhost; got \"http://127.0.0.1/#a\""},
    {"ready = { http = \"http://[::1]:0/\" }",
     "3:18 worker.w.ready.http: expected a URL such as \"http://127.0.0.1:8000/health\", with a "
     "numeric address or localhost; got \"http://[::1]:0/\""},
    {"ready = { http = \"http://127.0.0.1\", status = 101 }",
     "3:47 worker.w.ready.status: expected an integer from 200 to 599; got 101"},
    {"ready = { tcp = \"127.0.0.1:80\", status = 200 }",
     "3:33 worker.w.ready.status: only http has one"},
    {"ready = { unix = \"~/app.sock\" }",
     "3:18 worker.w.ready.unix: ~ is not expanded; write the path in full, got \"~/app.sock\""},
    {"ready = { notification_fd = 2 }",
     "3:29 worker.w.ready.notification_fd: expected an integer from 3 to 63; got 2"},
    {"ready = { notification_fd = 3, period = \"1s\" }",
     "3:32 worker.w.ready.period: means nothing beside notification_fd, where nobody asks"},
    {"ready = { notification_fd = 3, tcp = \"127.0.0.1:1\" }",
     "3:32 worker.w.ready.tcp: notification_fd and tcp exclude each other: choose one"},
    {"ready = { notification_fd = 4 }\nsockets = [\"a\", \"b\"]\n[socket]\na.listen = "
     "\"@a\"\nb.listen = \"@b\"",
     "3:1 worker.w.ready: notification_fd = 4 is the number of a socket, or of what the worker may "
     "store: these take 3 to 4"},
    {"ready = { notification_fd = 4 }\nfd_store_max = 2",
     "3:1 worker.w.ready: notification_fd = 4 is the number of a socket, or of what the worker may "
     "store: these take 3 to 4"},
    {"fd_store_max = 25", "3:16 worker.w.fd_store_max: expected an integer from 0 to 24; got 25"},
    {"liveness = \"exec\"",
     "3:12 worker.w.liveness: expected a table, as in liveness = { http = "
     "\"http://127.0.0.1:8000/\" }; got \"exec\""},
    {"liveness = {}",
     "3:1 worker.w.liveness: has no probe; expected { http = \"http://127.0.0.1:8000/\" }, { tcp = "
     "… }, { unix = … } or { command = … }"},
    {"liveness = { tcp = \"127.0.0.1:1\", failure_threshold = 0 }",
     "3:55 worker.w.liveness.failure_threshold: expected an integer from 1 to 1000; got 0"},
    {"ready = { tcp = \"db:5432\" }",
     "3:17 worker.w.ready.tcp: expected an address and a port such as \"127.0.0.1:5432\", "
     "\"[::1]:80\" or \"localhost:80\"; got \"db:5432\""},
    {"ready = { tcp = \"localhost:1\", command = [\"x\"] }",
     "3:32 worker.w.ready.command: tcp and command exclude each other: choose one"},
    {"ready = { command = [] }",
     "3:21 worker.w.ready.command: is empty; expected an array of strings such as [\"node\", "
     "\"server.js\"], or one string"},
    {"max_memory = \"1kB\"",
     "3:14 worker.w.max_memory: \"1kB\" makes no sense; expected 1MiB to 1024TiB"},
    {"requires = [\"w\"]", "3:13 worker.w.requires: a worker cannot require itself"},
    {"requires = 5",
     "3:12 worker.w.requires: expected the name of a worker, or an array of them such as [\"db\", "
     "\"cache\"]; got 5"},
    {"requires = \"cach\"\n[worker.cache]\ncommand = [\"x\"]",
     "3:12 worker.w.requires: there is no worker \"cach\" (did you mean \"cache\"?)"},
    {"min_uptime = true",
     "3:14 worker.w.min_uptime: expected a duration such as \"10s\"; got true"},
    {"start_timeout = \"0s\"",
     "3:17 worker.w.start_timeout: expected a duration from \"1ms\" to \"365d\"; got \"0s\""},
    {"group = \"a b\"",
     "3:9 worker.w.group: expected a name of 1 to 64 letters, digits, '_' or '-'; got \"a b\""},
    {"group = \"all\"", "3:9 worker.w.group: \"all\" is reserved: it selects every worker"},
};
TEST_CASE("conf/worker: each bad value is refused at its place") {
    for (const auto& item : kBadLines) {
        CAPTURE(item.line);
        CHECK(mistake_of(with_line(item.line)) == item.mistake);
    }
}

TEST_CASE("conf/worker: each bad command is refused at its place") {
    struct {
        std::string_view line;
        std::string_view mistake;
    } const cases[] = {
        {"", "1:9 worker.w: has no command; expected command = [\"PROGRAM\", \"ARGUMENT\", …]"},
        {"command = []",
         "2:11 worker.w.command: is empty; expected an array of strings such as [\"node\", "
         "\"server.js\"], or one string"},
        {"command = \"\"",
         "2:11 worker.w.command: is empty; expected an array of strings such as [\"node\", "
         "\"server.js\"], or one string"},
        {"command = \" \"",
         "2:11 worker.w.command: is blank; expected an array of strings such as [\"node\", "
         "\"server.js\"], or one string"},
        {"command = [\"\", \"a\"]", "2:12 worker.w.command: item 1: the program's name is empty"},
        {"command = \"'' a\"", "2:11 worker.w.command: \"'' a\" has an empty program name"},
        {"command = \"a 'b\"", "2:11 worker.w.command: \"a 'b\" has an unclosed single quote (')"},
        {"command = [\"a\", 5]",
         "2:17 worker.w.command: item 2: expected a string; got 5 (write \"5\")"},
        {"command = [\"a\", \"b\\u0000\"]",
         "2:17 worker.w.command: item 2: \"b\\x00\" has a NUL byte"},
        {"command = \"a\\u0000\"", "2:11 worker.w.command: \"a\\x00\" has a NUL byte"},
        {"command = 5",
         "2:11 worker.w.command: expected an array of strings such as [\"node\", \"server.js\"], "
         "or one string; got 5"},
        {"command = \" \"\nshell = true",
         "2:11 worker.w.command: is blank; expected one string for /bin/sh -c"},
        {"shell = true",
         "1:9 worker.w: has no command; expected command = [\"PROGRAM\", \"ARGUMENT\", …]"},
    };
    for (const auto& item : cases) {
        CAPTURE(item.line);
        CHECK(mistake_of("[worker.w]\n" + std::string(item.line)) == item.mistake);
    }
}

TEST_CASE("conf/worker: names that the daemon sets itself are refused in env") {
    for (const std::string name : {"CLUSTER_WORKER", "CLUSTER_X", "LISTEN_PID", "NODE_CHANNEL_FD",
                                   "NOTIFY_SOCKET", "WATCHDOG_USEC", "NODE_APP_INSTANCE",
                                   "NODE_UNIQUE_ID"}) {
        CHECK(mistake_of(with_line("env." + name + " = \"1\"")) ==
              "3:5 worker.w.env." + name + ": the daemon sets " + name + " itself");
    }
    CHECK(load_line("env.CLUSTER = \"1\"").launch.env.size() == 1);
    CHECK(load_line("env.NODE_ENV = \"production\"").launch.env.size() == 1);
}

TEST_CASE("conf/worker: ready is a word, or a probe with its times") {
    using Kind = core::Readiness::Kind;
    CHECK(load_line("ready = \"notify\"").policy.ready.kind == Kind::notify);
    core::Probe tcp;
    tcp.kind = core::Probe::Kind::tcp;
    tcp.host = "::1";
    tcp.port = 65535;
    tcp.initial_delay = seconds{2};
    tcp.period = seconds{1};
    tcp.timeout = milliseconds{100};
    tcp.success_threshold = 3;
    CHECK(load_line("ready = { tcp = \"[::1]:65535\", initial_delay = \"2s\", period = \"1s\", "
                    "timeout = \"100ms\", success_threshold = 3 }")
              .policy.ready.probe == tcp);
    CHECK(load_line("ready = { tcp = \"localhost:80\" }").policy.ready.probe.host == "localhost");
    CHECK(load_line("ready = { command = \"check 'a b'\" }").policy.ready.probe.command ==
          Words{"check", "a b"});
}

TEST_CASE("conf/worker: probes over HTTP and UNIX sockets, and the descriptor of s6") {
    using Kind = core::Probe::Kind;
    const core::Probe http =
        load_line("ready = { http = \"http://[::1]/health?a=1\", status = 204 }").policy.ready.probe;
    CHECK(http.kind == Kind::http);
    CHECK(http.host == "::1");
    CHECK(http.port == 80);
    CHECK(http.path == "/health?a=1");
    CHECK(http.status == 204);
    const core::Probe bare =
        load_line("ready = { http = \"http://localhost:8000\" }").policy.ready.probe;
    CHECK(bare.path == "/");
    CHECK(bare.port == 8000);
    CHECK(bare.status == 0);
    const core::Probe path = load_line("ready = { unix = \"run/a.sock\" }").policy.ready.probe;
    CHECK(path.kind == Kind::unix_socket);
    CHECK(path.path.find("/run/a.sock") != std::string::npos);
    CHECK(path.path.front() == '/');
    const std::string long_path = "/" + std::string(107, 'x');
    CHECK(mistake_of(with_line("ready = { unix = \"" + long_path + "\" }")) ==
          "3:18 worker.w.ready.unix: \"" + long_path.substr(0, 60) +
              "…\" is longer than the path of a UNIX socket can be, 107 bytes");
    const core::Readiness fd = load_line("ready = { notification_fd = 4 }").policy.ready;
    CHECK(fd.kind == core::Readiness::Kind::notification_fd);
    CHECK(fd.notification_fd == 4);
}

TEST_CASE("conf/worker: liveness is a probe with its own times") {
    CHECK(load_line("").policy.liveness.kind == core::Probe::Kind::none);
    const core::Probe usual =
        load_line("liveness = { tcp = \"127.0.0.1:80\" }").policy.liveness;
    CHECK(usual.kind == core::Probe::Kind::tcp);
    CHECK(usual.period == seconds{10});
    CHECK(usual.timeout == seconds{1});
    CHECK(usual.failure_threshold == 3);
    CHECK(load_line("liveness = { command = \"check\", period = \"1s\", failure_threshold = 1 }")
              .policy.liveness.failure_threshold == 1);
}

TEST_CASE("conf/worker: max_memory is a size") {
    CHECK(load_line("max_memory = \"512MiB\"").policy.max_memory == 512U << 20U);
}

TEST_CASE("conf/worker: requires names workers of the file, or of those that are there already") {
    const std::string two = "[worker.a]\ncommand = [\"a\"]\nrequires = ";
    const std::string rest = "\n[worker.b]\ncommand = [\"b\"]\n";
    const LoadResult one = load_text(two + "\"b\"" + rest);
    REQUIRE(one);
    CHECK(one->workers.front().requirements == Words{"b"});
    CHECK(mistake_of(two + "[\"b\", \"c\"]" + rest) ==
          "3:18 worker.a.requires: there is no worker \"c\"");
    const LoadResult known = load(two + "[\"b\", \"c\"]" + rest, {"/srv/site/clusterd.toml", "/bin",
                                                                  std::vector<std::string>{"c"}});
    REQUIRE(known);
    CHECK(known->workers.front().requirements == Words{"b", "c"});
}

TEST_CASE("conf/worker: a cycle of requires is shown along its way, each cycle once") {
    const auto worker = [](const std::string& name, const std::string& needs) {
        return "[worker." + name + "]\ncommand = [\"x\"]\nrequires = [" + needs + "]\n";
    };
    check_mistakes(worker("a", "\"b\", \"c\"") + worker("b", "\"c\"") + worker("c", "\"a\"") +
                       worker("d", "\"a\""),
                   {"3:13 worker.a.requires: these workers require one another: a → b → c → a",
                    "3:18 worker.a.requires: these workers require one another: a → c → a"});
}

TEST_CASE("conf/worker: wants and after, their mistakes and their cycles") {
    const auto worker = [](const std::string& name, const std::string& line) {
        return "[worker." + name + "]\ncommand = [\"x\"]\n" + line + "\n";
    };
    const LoadResult good = load_text(worker("a", "wants = \"b\"\nafter = [\"b\", \"c\"]") +
                                      worker("b", "after = \"c\"") + worker("c", ""));
    REQUIRE(good);
    CHECK(good->workers[0].wants == Words{"b"});
    CHECK(good->workers[0].after == Words{"b", "c"});
    CHECK(good->workers[0].requirements.empty());
    check_mistakes(worker("abc", "wants = [\"abd\", \"abc\"]") + worker("b", "after = \"abx\""),
                   {"3:10 worker.abc.wants: there is no worker \"abd\" (did you mean \"abc\"?)",
                    "3:17 worker.abc.wants: a worker cannot wait for itself",
                    "6:9 worker.b.after: there is no worker \"abx\" (did you mean \"abc\"?)"});
    check_mistakes(worker("a", "wants = \"b\"") + worker("b", "after = [\"c\"]") +
                       worker("c", "requires = \"a\""),
                   {"3:9 worker.a.wants: these workers wait for one another (requires, wants, "
                    "after): a → b → c → a"});
}

TEST_CASE("conf/daemon: parallel_starts") {
    const std::string worker = "\n[worker.w]\ncommand = [\"srv\"]\n";
    const LoadResult result = load_text("[daemon]\nparallel_starts = 4" + worker);
    REQUIRE(result);
    CHECK(result->daemon.parallel_starts == 4);
    CHECK(mistake_of("[daemon]\nparallel_starts = -1" + worker) ==
          "2:19 daemon.parallel_starts: expected an integer from 0 to 8192; got -1");
}

TEST_CASE("conf/worker: every misspelt key is asked about by its right name") {
    for (const std::string_view key : worker_key_names()) {
        const std::string misspelt = std::string(key) + "x";
        CHECK(mistake_of(with_line(misspelt + " = 1")) == "3:1 unknown key \"" + misspelt +
                                                              "\" in [worker.w] (did you mean \"" +
                                                              std::string(key) + "\"?)");
    }
}

}  // namespace
}  // namespace cluster::conf
