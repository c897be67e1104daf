# Request Tracker in the lab's folder, on SQLite; Debian's own site is not read.
Set($rtname, '{{domain}}');
Set($Organization, '{{domain}}');
Set($WebDomain, '127.0.0.1');
Set($WebPort, {{port}});
Set($WebPath, '');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, '{{state}}/rt.sqlite');
Set($DatabaseHost, '');
Set($DatabasePort, '');
Set($DatabaseUser, '');
Set($DatabasePassword, '');
Set($Timezone, 'UTC');
Set($LogToSyslog, undef);
Set($LogToSTDERR, undef);
Set($LogToFile, 'info');
Set($LogDir, '{{state}}');
Set($LogToFileNamed, 'rt.log');
# What it would send stays here.
Set($MailCommand, sub {
    my ($mail) = @_;
    open my $file, '>>', '{{state}}/mail' or return 0;
    print {$file} $mail->as_string, "\n";
    close $file or return 0;
    return 1;
});
# Where these go is compiled in; a lab has folders of its own.
$RT::VarPath = '{{state}}';
$RT::MasonDataDir = '{{state}}/mason';
$RT::MasonSessionDir = '{{state}}/sessions';
1;
