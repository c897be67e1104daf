<?php
// Roundcube of the lab: mailboxes of the lab's Dovecot, mail handed to the lab's Postfix under the user's own name.
$ssl = ['ssl' => ['cafile' => '{{ca}}', 'peer_name' => 'mail.lab.test', 'verify_peer' => true]];
$config['db_dsnw'] = 'sqlite:///{{state}}/database?mode=0600';
$config['imap_host'] = 'tls://127.0.0.1:{{imap}}';
$config['imap_conn_options'] = $ssl;
$config['smtp_host'] = 'tls://127.0.0.1:{{submission}}';
$config['smtp_conn_options'] = $ssl;
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';
$config['des_key'] = '{{key}}';
$config['log_dir'] = '{{state}}/logs';
$config['temp_dir'] = '{{state}}/temp';
$config['mail_domain'] = '{{domain}}';
$config['plugins'] = [];
$config['enable_spellcheck'] = false;
// Tests log in wrongly more often than people do.
$config['login_rate_limit'] = 1000;
