<?php
// Runs before every page: when it was asked for, how long it took, its status, and what it was, by the server's own clock.
register_shutdown_function(function () {
    $begun = $_SERVER['REQUEST_TIME_FLOAT'];
    $page = $_SERVER['REQUEST_METHOD'] . ' ' . ($_REQUEST['_task'] ?? '-') . ' ' . ($_REQUEST['_action'] ?? '-');
    $line = sprintf("%.6f %.6f %d %s\n", $begun, microtime(true) - $begun, http_response_code(), preg_replace('/[^\w. -]/', '?', $page));
    file_put_contents('{{times}}', $line, FILE_APPEND | LOCK_EX);
});
