<?php
// async-aws: the default chain behind the cache that its service clients put before it. Lines: see
// asking.py.
require 'AsyncAws/Core/autoload.php';

use AsyncAws\Core\Configuration;
use AsyncAws\Core\Credentials\CacheProvider;
use AsyncAws\Core\Credentials\ChainProvider;

$configuration = Configuration::create([]);
$provider = new CacheProvider(ChainProvider::createDefaultChain());
while (false !== fgets(STDIN)) {
    try {
        $found = $provider->getCredentials($configuration);
        if (null === $found) {
            $provider->reset();
            echo "error async-aws found no credentials\n";
        } else {
            $whole = $found->getSecretKey() . "\n" . $found->getSessionToken();
            echo 'key ', $found->getAccessKeyId(), ' ', substr(hash('sha256', $whole), 0, 16), "\n";
        }
    } catch (Throwable $error) {
        echo 'error ', preg_replace('/\s+/', ' ', $error->getMessage()), "\n";
    }
}
