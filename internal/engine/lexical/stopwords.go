package lexical

import (
	"strings"
	"sync"
)

// stopWords of each language: words that stand in every text and tell nothing about any. They are left out of the index and of queries, and tell the
// language of a text in Latin or Cyrillic letters.
var stopWords = sync.OnceValue(func() map[string]map[string]bool {
	all := make(map[string]map[string]bool, len(stopLists))
	for lang, list := range stopLists {
		words := strings.Fields(list)
		set := make(map[string]bool, len(words))
		for _, w := range words {
			set[w] = true
		}
		all[lang] = set
	}
	return all
})

var stopLists = map[string]string{
	"en": `a about above after again against all am an and any are aren't as at be because been before being below between both but by can can't cannot
		could couldn't did didn't do does doesn't doing don't down during each few for from further had hadn't has hasn't have haven't having he her here
		hers herself him himself his how i if in into is isn't it its itself just me more most must my myself no nor not of off on once only or other
		our ours ourselves out over own same shall she should shouldn't so some such than that the their theirs them themselves then there these they
		this those through to too under until up upon us very was wasn't we were weren't what when where which while who whom why will with won't would
		wouldn't you your yours yourself yourselves i'm i've i'd i'll you're you've you'll he's she's it's we're we've we'll they're they've they'll
		that's there's what's let's also e.g i.e etc may might`,
	"de": `aber alle allem allen aller alles als also am an ander andere anderem anderen anderer anderes auch auf aus bei beim bin bis bist da damit dann
		das dass daß dein deine deinem deinen deiner dem den denn der des dessen deren dich die dies diese diesem diesen dieser dieses dir doch dort du
		durch ein eine einem einen einer eines einig einige einigen einiger er es etwas euch euer eure für gegen gewesen hab habe haben hat hatte hatten
		hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im in indem ins ist ja jede jedem jeden jeder jedes jene jenem jenen jener
		jenes jetzt kann kein keine keinem keinen keiner können könnte machen man manche mein meine meinem meinen meiner mich mir mit muss musste nach
		nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner seit selbst sich sie sind so solche soll sollte sondern sonst über um
		und uns unser unsere unter viel vom von vor während war waren was weg weil weiter welche welchem welchen welcher welches wenn werde werden wie
		wieder will wir wird wirst wo wollen wollte wurde wurden würde würden zu zum zur zwar zwischen`,
	"fr": `à ai aie ait alors as au aucun aussi autre aux avait avaient avant avec avez avoir avons c ce ceci cela ces cet cette ceux chaque ci comme
		comment d dans de des deux donc dont du elle elles en encore entre es est et étaient était étant été être eu eux fait faire fois font fut hors
		ici il ils j je l la là le les leur leurs lors lui m ma mais me même mes mon n ne ni nos notre nous on ont or ou où par parce pas pendant peu
		peut plus pour pourquoi qu quand que quel quelle quelles quels qui quoi s sa sans se sera seront ses si son sont sous sur t ta te tes toi ton
		tous tout toute toutes très tu un une vers vos votre vous y`,
	"es": `a al algo algunas algunos ante antes aquí así aún aunque bajo bien cada como cómo con contra cual cuál cuando cuándo de del desde donde dónde
		dos durante e el él ella ellas ellos en entre era eran eres es esa esas ese eso esos esta está están estas este esto estos fue fueron ha había
		habían hace hacia han has hasta hay he la las le les lo los más me mi mientras mis mucho muchos muy nada ni no nos nosotros nuestra nuestro o os
		otra otras otro otros para pero poco por porque puede pueden pues que qué quien quién se sea según ser si sí sido sin sobre solo son su sus
		también tan tanto te tiene tienen todo todos tras tu tus un una uno unos y ya yo`,
	"it": `a abbiamo ad agli ai al alla alle allo anche ancora avere aveva avevano c che chi ci cioè coi col come con contro cosa cui d da dagli dai dal
		dalla dalle dallo degli dei del dell della delle dello di dove dopo e è ed era erano essere fa fra fino gli ha hai hanno ho i il in io l la le
		lei li lo loro lui ma me mentre mi mia mio ne negli nei nel nell nella nelle nello noi non nostra nostro o ogni per perché più poi prima può qual
		quale quali quando quanto quella quelle quelli quello questa queste questi questo qui sarà se sei senza si sia siamo solo sono sopra sotto sta
		stata stato su sua sue sugli sui sul sull sulla sulle suo suoi tra tu tutti tutto un una uno v vi voi`,
	"pt": `a à ainda algo alguns antes ao aos após aquela aquele aquilo as às assim até bem cada com como contra da das de dela dele deles depois desde do
		dos e é ela elas ele eles em enquanto entre era eram essa essas esse esses esta está estão estas este estes eu foi foram há isso isto já lhe lhes
		mais mas me mesmo meu meus minha muito na nas não nem no nos nós nossa nosso num numa o onde os ou outra outro outros para pela pelas pelo pelos
		pode podem por porque qual quando quanto que quem são se seja sem ser será seu seus só sobre sua suas também tanto te tem têm ter teu tinha toda
		todas todo todos tua tudo um uma umas uns você vocês`,
	"nl": `aan al alle alleen als altijd andere ben bij binnen daar dan dat de der deze die dit doch doen door dus echter een eens elk elke en er ge geen
		geweest haar had hadden heb hebben heeft hem hen het hier hij hoe hun iets ik in is ja je jij jou jouw kan kon kunnen maar me meer men met mij
		mijn moet na naar niet niets nog nu of om omdat ons onze ook op over reeds te tegen tijdens toch toen tot tussen u uit uw van veel voor waar
		waarom wanneer want waren was wat we wel werd werden wie wij wil worden wordt zal ze zei zelf zich zij zijn zo zonder zou`,
	"sv": `alla allt att av blev bli blir blivit de dem den denna deras dess dessa det detta dig din dina ditt du där då efter ej eller en er era ett från
		för ha hade han hans har henne hennes hon honom hur här i icke ingen inom inte jag ju kan kunde man med mellan men mig min mina mitt mot mycket
		ni nu när någon något några och om oss på sedan sig sin sina sitt skulle som så sådan till under upp ut utan vad var vara varför vars vem vi vid
		vilken är över ska också`,
	"da": `af alle alt anden at blev blive bliver da de dem den denne der deres det dette dig din disse dog du efter eller en end er et for fra ham han
		hans har havde have hende hendes her hos hun hvad hvis hvor hvordan hvorfor i ikke ind jeg jo kan kunne man mange med meget men mig min mine mit
		mod ned noget nogle nu når og også om op os over på selv sig sin sine sit skal skulle som sådan thi til ud under var vi vil ville vor være været`,
	"no": `alle at av bare begge ble blei bli blir da de deg dei deim deira dem den denne der dere deres det dette di din disse du dykk eg ein eit eller en
		enn er et etter for fordi fra før ha hadde han hans har henne hennes her hos hun hva hvem hver hvilken hvis hvor hvordan hvorfor i ikke ikkje inn
		ja jeg kan kom kun kunne man mange me med meg meget men mi min mine mitt mot mye nå når noe noen og også om opp oss over på så sånn seg selv si
		sin sine sitt skal skulle slik som til um under ut uten var vår være vært vi vil ville vite`,
	"fi": `ei eivät emme en et ette että he heidän hän häne häntä ja jo joka jos jotka kaikki kanssa koska kuin kuka kun me mikä minä minun missä mitä
		mukaan mutta myös ne niiden niin nyt näiden nämä ole olen olet oli olivat olla on ovat se sekä sen siitä sillä sinä siinä sitä tai te tuo tämä
		tämän tässä tätä vaan vai vaikka voi voidaan yli`,
	"hu": `a abban ahhoz ahogy aki akik amely amelyek ami az azért azok azonban azt be csak de e egy egyéb egyik el ez ezek ezért ezt fel ha hanem hogy
		hogyan igen így illetve is ki kell két lehet lesz ma majd már meg mely mert mi miért mind minden mint mit most nagy nagyon ne nem nincs olyan ott
		pedig s saját sem semmi sok számára szerint tehát több ugyanis után vagy vagyis valamint van vannak volt voltak`,
	"ro": `a acea această aceasta aceea acest acesta acestea aceste acești ai al ale am ar are as asta astfel atunci au avea că când care ce cea cei cel
		cele cu cum da dacă dar de deci decât din după e ea ei el ele era este eu fi fie fost iar în între îl îi la le lor lui mai mult mă ne nici noi nu
		o ori pe pentru prin s sa să sale sau se și sunt său te toate tot toți tu un una unde unei unor unui va vă voi vor`,
	"tr": `acaba ama ancak artık asla aslında az bana bazı belki ben beni benim bile bir birçok biri birkaç biz bize bizim bu buna bunda bundan bunlar bunu
		bunun çok çünkü da daha de defa değil diye dolayı en gibi göre hangi hem hep hepsi her hiç için ile ise işte kadar ki kim mi mı mu mü nasıl ne
		neden nerede niçin niye o olan olarak oldu olduğu olması olmak on ona ondan onlar onu onun sanki sen siz şey şu tarafından tüm var ve veya ya
		yani yine yok zaten`,
	"ru": `а без более больше будет будто бы был была были было быть в вам вас вдруг ведь во вот впрочем все всегда всего всех всю вы где да даже для до
		другой его ее её ей ему если есть еще ещё ж же за здесь и из или им иногда их к как какая какой когда конечно кто куда ли лучше между меня мне
		много может можно мой моя мы на над надо наконец нас не него нее ней нельзя нет ни нибудь никогда ним них ничего но ну о об один он она они оно
		от перед по под после потом потому почти при про раз разве с сам свою себе себя сейчас со совсем так такой там тебя тем теперь то тогда того тоже
		только том тот тут ты у уж уже хоть чего чей чем через что чтоб чтобы чуть эти этого этой этом этот эту я`,
}
